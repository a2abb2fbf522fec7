
"use strict";
// Copies, filters, and opens what a link leads to. The page says everything without it.
const told = document.getElementById("told");

async function copy(text, pre) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(pre);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return document.execCommand("copy");
  }
  return true;
}

for (const button of document.querySelectorAll(".copy")) {
  const pre = button.parentElement.querySelector("pre");
  button.hidden = false;
  button.addEventListener("click", async () => {
    told.textContent = "";
    const done = await copy(pre.textContent, pre);
    button.firstChild.data = done ? "Copied " : "Marked: press Ctrl+C ";
    told.textContent = done ? "Copied" : "Marked: press Ctrl+C";
    setTimeout(() => { button.firstChild.data = "Copy "; }, 2000);
  });
}

const filter = document.getElementById("filter");
if (filter) {
  const problems = [...document.querySelectorAll(".problem")];
  const texts = problems.map(() => null);
  const count = document.querySelector("output");
  filter.parentElement.hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    let shown = 0;
    problems.forEach((problem, index) => {
      texts[index] ??= problem.textContent.toLowerCase();
      problem.hidden = !texts[index].includes(wanted);
      shown += !problem.hidden;
    });
    count.textContent = wanted ? `${shown} of ${problems.length}` : "";
  });
}

function reveal() {
  const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!wanted?.classList.contains("problem")) return;
  wanted.hidden = false;
  wanted.open = true;
  wanted.scrollIntoView();
  wanted.querySelector("summary").focus({ preventScroll: true });
}
addEventListener("hashchange", reveal);
if (location.hash) addEventListener("load", () => setTimeout(reveal));
