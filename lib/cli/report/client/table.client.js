// Makes the table of all generators sortable, and its names buttons that show the generator's answers.

const { data, element } = globalThis.cfgdistill;

const table = document.querySelector('table.points');
const body = table.tBodies[0];

/** A cell's value: a number where it is one, otherwise text. NaN (no figure) sorts last either way. */
function cellValue(row, column) {
  const { value } = row.cells[column].dataset;
  return value !== '' && !Number.isNaN(Number(value)) ? Number(value) : value;
}

function compare(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

function sortBy(column, heading) {
  const rows = [...body.rows];
  const numeric = rows.some((row) => typeof cellValue(row, column) === 'number');
  const before = heading.getAttribute('aria-sort');
  const direction =
    before === null ? (numeric ? 'descending' : 'ascending') : before === 'ascending' ? 'descending' : 'ascending';
  for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
  heading.setAttribute('aria-sort', direction);
  const sign = direction === 'ascending' ? 1 : -1;
  const missing = (value) => value === 'NaN' || value === '';
  rows.sort((first, second) => {
    const [a, b] = [cellValue(first, column), cellValue(second, column)];
    return missing(a) || missing(b) ? Number(missing(a)) - Number(missing(b)) : sign * compare(a, b);
  });
  body.append(...rows);
}

[...table.tHead.rows[0].cells].forEach((heading, column) => {
  const button = element('button', { type: 'button' }, heading.textContent);
  button.addEventListener('click', () => sortBy(column, heading));
  heading.replaceChildren(button);
});

for (const row of body.rows) {
  const point = Number(row.dataset.point);
  if (!data.shown[point]) continue;
  const name = row.cells[0];
  const button = element('button', { type: 'button', title: `Show its ${data.answers}` }, name.textContent);
  button.addEventListener('click', () => document.dispatchEvent(new CustomEvent('show-point', { detail: point })));
  name.replaceChildren(button);
}
