"""Why a completion is not with ESR although the LMS told of it, where it is not ESR that says so."""

from shared.codes import Code


class CompletionCode(Code):
    """Why a completion waits, is withheld, or is a case for an operator."""

    O101 = (
        "O101",
        "the person is no staff of the trust, and ESR does not know them",
        "Nothing is to be done. When they are hired, what they completed is sent by itself.",
    )
    O102 = (
        "O102",
        "the person has left, and the trust withholds what leavers completed",
        "Nothing is to be done. It is sent when they are rehired, or when 'completions.leavers' says 'send'.",
    )
    O103 = (
        "O103",
        "ESR came to hold the same learning by itself before it was sent",
        "Nothing is to be done.",
    )
    O104 = (
        "O104",
        "ESR has told us nothing of the person yet",
        "Wait for ESR's next file; if it stays so, look whether the person ID in the LMS is right.",
    )
    O201 = (
        "O201",
        "ESR has not answered, and it was sent again as often as the trust allows",
        "Ask ESR whether the file arrived; then resend the reference, or settle it with a reason.",
    )
    O202 = (
        "O202",
        "an operator gave it up",
        "Nothing is to be done. 'esrbridge completions settle --undo' takes it up again.",
    )
    O203 = (
        "O203",
        "an operator withdrew it",
        "Nothing is to be done. 'esrbridge completions withdraw --undo' lets it stand again.",
    )
