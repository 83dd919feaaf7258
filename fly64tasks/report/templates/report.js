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

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.closest(".sortable")) sortBy(button.closest("th"));
  else if (button?.dataset.open) for (const job of jobs) job.open = button.dataset.open === "true";
});
addEventListener("hashchange", openTarget);
addEventListener("beforeprint", () => {
  closed = jobs.filter((job) => !job.open);
  for (const job of closed) job.open = true;
});
addEventListener("afterprint", () => {
  for (const job of closed) job.open = false;
});
openTarget();
