// Makes the tables of the class page sortable; without it they are only readable.
for (const table of document.querySelectorAll("table.sorted")) {
  const body = table.tBodies[0];
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = parseFloat(text.replace("−", "-"));
    return text === "–" ? -Infinity : Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending" || (!head.hasAttribute("aria-sort") && column === 0);
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = [...body.rows].map((row) => [column === 0 ? row.cells[0].textContent.trim() : key(row, column), row]);
      keyed.sort(([a], [b]) => (up ? compare(a, b) : compare(b, a)));
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
