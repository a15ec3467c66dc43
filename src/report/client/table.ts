/** Sorting and filtering of the table of tensors. */
export function setUpTable(): void {
  const table = document.querySelector<HTMLTableElement>('#tensor-table')!
  for (const heading of table.tHead!.rows[0]!.cells)
    heading.querySelector('button')!.addEventListener('click', () => {
      sortBy(table, heading)
    })
  setUpFilter(table)
}

/** Sorts by a column, the other way round when it is sorted by it already. Numbers begin with the largest. */
function sortBy(table: HTMLTableElement, heading: HTMLTableCellElement): void {
  const numeric = !heading.classList.contains('text')
  const before = heading.getAttribute('aria-sort')
  const first = numeric ? 'descending' : 'ascending'
  const direction = before === first ? (numeric ? 'ascending' : 'descending') : first
  for (const other of table.tHead!.rows[0]!.cells) other.removeAttribute('aria-sort')
  heading.setAttribute('aria-sort', direction)
  const body = table.tBodies[0]!
  const compare = numeric ? compareNumbers : compareTexts
  const sign = direction === 'ascending' ? 1 : -1
  const rows = [...body.rows].map((row) => ({ row, cell: row.cells[heading.cellIndex]! }))
  rows.sort((a, b) => compare(a.cell, b.cell, sign))
  body.append(...rows.map(({ row }) => row))
}

/** What is not defined comes last, whichever way. */
function compareNumbers(a: HTMLElement, b: HTMLElement, sign: number): number {
  const [x, y] = [Number(a.dataset.value), Number(b.dataset.value)]
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y))
  return sign * (x - y)
}

const { compare } = new Intl.Collator('en', { numeric: true })

function compareTexts(a: HTMLElement, b: HTMLElement, sign: number): number {
  return sign * compare(a.textContent, b.textContent)
}

function setUpFilter(table: HTMLTableElement): void {
  const name = document.querySelector<HTMLInputElement>('#tensor-name')!
  const role = document.querySelector<HTMLSelectElement>('#tensor-role')
  const count = document.querySelector('#tensor-count')!
  const all = count.textContent
  const filter = (): void => {
    const wanted = name.value.trim().toLowerCase()
    let shown = 0
    for (const row of table.tBodies[0]!.rows) {
      const { name: text = '', role: own = '' } = row.dataset
      row.hidden = !text.toLowerCase().includes(wanted) || !['', own].includes(role?.value ?? '')
      if (!row.hidden) shown += 1
    }
    count.textContent = shown === table.tBodies[0]!.rows.length ? all : `${shown} of ${all}`
  }
  name.addEventListener('input', filter)
  role?.addEventListener('change', filter)
  filter()
}
