"use strict";

// Sort a table by the column of the button that was pressed; absent values stay last.
function sortBy(heading) {
  const ascending = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const column = heading.cellIndex;
  const body = heading.closest("table").tBodies[0];
  const key = (row) => row.cells[column].dataset.sort;
  const sign = ascending ? 1 : -1;
  const number = (text) => (text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text));
  const compare = (a, b) => {
    const [left, right] = [key(a), key(b)];
    if (left === "" || right === "") return (left === "") - (right === "");
    const [x, y] = [number(left), number(right)];
    return x === y ? 0 : sign * (x < y ? -1 : 1);
  };
  body.append(...[...body.rows].sort(compare));
}

// Show what is of the chosen dose, view, split, method and draw, in every table and list.
function filter(form) {
  const chosen = [...form.elements].filter((field) => field.name && field.value);
  for (const item of document.querySelectorAll("main [data-dose], main [data-view], main [data-split]"))
    item.hidden = chosen.some(({ name, value }) => (item.dataset[name] ?? value) !== value);
  const shown = jobs.filter((job) => !job.hidden).length;
  form.querySelector("output").value =
    shown === jobs.length ? `${shown} jobs` : `${shown} of ${jobs.length} jobs`;
}

// Return a table as CSV: full precision where a cell has it, no text that a spreadsheet would run.
function csvOf(table) {
  const cell = (element) => {
    const exact = element.matches("td.number") && element.dataset.sort;
    const text = exact || element.innerText.trim().replace(/\s+/g, " ");
    const safe = !exact && /^[=+\-@]/.test(text) && isNaN(text) ? `'${text}` : text;
    return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const rows = [...table.rows].filter((row) => !row.hidden);
  return rows.map((row) => [...row.cells].map(cell).join(",") + "\n").join("");
}

async function copy(button) {
  const text = csvOf(button.nextElementSibling.querySelector("table"));
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.body.appendChild(document.createElement("textarea"));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy as CSV"), 1500);
}

// Open the job that the address names.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

const jobs = [...document.querySelectorAll("details.job")];
let closed = [];

for (const table of document.querySelectorAll(".scroll > table:not(.matrix)")) {
  const button = Object.assign(document.createElement("button"), {
    type: "button",
    className: "copy",
    textContent: "Copy as CSV",
  });
  table.parentElement.before(button);
}
for (const form of document.querySelectorAll("form.filters")) {
  form.hidden = !form.querySelector("select");
  form.addEventListener("change", () => filter(form));
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.className === "copy") copy(button);
  else if (button?.closest(".sortable")) sortBy(button.closest("th"));
  else if (button?.dataset.open) for (const job of jobs) job.open = button.dataset.open === "true";
});
addEventListener("hashchange", openTarget);
addEventListener("beforeprint", () => {
  if (document.body.className === "many") return; // those that were opened are printed
  closed = jobs.filter((job) => !job.open && !job.hidden && (job.dataset.repeat ?? "1") === "1");
  for (const job of closed) job.open = true;
});
addEventListener("afterprint", () => {
  for (const job of closed) job.open = false;
});
openTarget();
