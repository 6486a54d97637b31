// @ts-check
// While the example moves, the steps are fetched again and again, until it has arrived.
import { enhance } from "./enhance.js";
import { renderTimes } from "./times.js";

const AGAIN_MS = 400;

async function follow() {
  const steps = document.querySelector("[data-learn][data-moving]");
  if (!steps) return;
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = page.getElementById("main");
    const here = document.getElementById("main");
    if (main && here && answer.ok && !answer.redirected) {
      here.replaceChildren(...[...main.childNodes].map((node) => document.importNode(node, true)));
      enhance(here);
      renderTimes(here);
    }
  } catch {
    // the service is away for a moment: the next look will tell
  }
  setTimeout(follow, AGAIN_MS);
}

follow();
