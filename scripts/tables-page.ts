import { TABLE_NAMES, TABLES } from '../src/tables/schema.js'
import type { TableName } from '../src/tables/schema.js'

function section(name: TableName): string {
  const { description, from, columns } = TABLES[name]
  const ofParts = 'ofParts' in TABLES[name]
  const rows = columns.map(
    ({ name: column, type, description: meaning }) =>
      `| \`${column}\` | ${type} | ${meaning.replaceAll('|', '\\|')} |`,
  )
  const written = ofParts
    ? 'Written with `--intervals`.'
    : from === 'tensor'
      ? 'Always written.'
      : `Written with \`--granularity ${from}\` and finer.`
  return [
    `## ${name}/`,
    '',
    `${description} ${written}`,
    '',
    '| column | type | meaning |',
    '|---|---|---|',
    ...rows,
  ].join('\n')
}

/** docs/tables.md: every table and column of a results folder, from the schema. */
export function tablesPage(): string {
  return `# Tables

A results folder holds one folder per table, each of \`part-*.parquet\` files, and \`manifest.json\`. This page is made from the schema (\`src/tables/schema.ts\`) by \`npm run docs\`; [architecture.md](architecture.md#what-the-numbers-mean) says what the numbers mean. No column holds nulls: what is undefined is NaN. Every file carries the run's facts as JSON under the key \`retrograd\` of its metadata.

${TABLE_NAMES.map(section).join('\n\n')}
`
}
