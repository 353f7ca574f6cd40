// Everything works without this file. It switches on the design system's components, and keeps the focus and the
// reader's place when a part of a page is renewed.
import { initAll } from "/static/nhsuk/nhsuk-frontend.min.js";

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
initAll();
