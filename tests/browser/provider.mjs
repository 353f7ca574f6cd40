// A real OpenID Connect provider (oidc-provider, certified by the OpenID Foundation) on 127.0.0.1, for the tests of
// signing in. Two people can sign in with any password; their groups stand in the claim "groups".
//
//   node provider.mjs PORT CALLBACK SIGNED_OUT
//
// With GROUPS_IN=token the groups stand in the ID token, otherwise at the userinfo endpoint only.
import Provider from "oidc-provider";

const [port, callback, signedOut] = process.argv.slice(2);
const groups = { ann: ["bridge-operators"], bob: ["something-else"], eve: ["bridge-approvers"] };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "console",
      client_secret: "a secret of the tests",
      redirect_uris: [callback],
      post_logout_redirect_uris: [signedOut],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  claims: { openid: ["sub"], profile: ["name", "groups"] },
  conformIdTokenClaims: process.env.GROUPS_IN !== "token",
  cookies: { keys: ["a key of the tests"] },
  features: { devInteractions: { enabled: true } },
  pkce: { required: () => true },
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: `${sub} of the tests`, groups: groups[sub] ?? [] }),
  }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
