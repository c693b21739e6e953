// Sorts the table by a click on a column, shows the rows that hold a text, and loads the page again twice a minute.
"use strict";

const heads = [...document.querySelectorAll("th")];
const body = document.querySelector("tbody");
const filter = document.getElementById("filter");
const RELOAD_MILLISECONDS = 30000;

function keyOf(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.key !== undefined) return Number(cell.dataset.key);
  return cell.textContent === "-" ? "" : cell.textContent;
}

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), undefined, { numeric: true });
}

function sortBy(column, direction) {
  const sign = direction === "descending" ? -1 : 1;
  const rows = [...body.rows].map((row) => [keyOf(row, column), row]);
  // What is not known comes last, whichever way the rest goes.
  rows.sort(([one], [other]) => (one === "") - (other === "") || sign * compare(one, other));
  body.append(...rows.map(([, row]) => row));
  heads.forEach((head, index) => head.setAttribute("aria-sort", index === column ? direction : "none"));
  sessionStorage.setItem("sort", JSON.stringify([column, direction]));
}

function showMatching() {
  const wanted = filter.value.trim().toLowerCase();
  for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  sessionStorage.setItem("filter", filter.value);
}

heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
  sortBy(column, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
}));
filter.addEventListener("input", showMatching);

const sort = JSON.parse(sessionStorage.getItem("sort") || "null");
if (sort && heads[sort[0]]) sortBy(...sort);
filter.value = sessionStorage.getItem("filter") || "";
showMatching();
setTimeout(() => location.reload(), RELOAD_MILLISECONDS);
