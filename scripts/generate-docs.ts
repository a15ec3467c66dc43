/** Writes the pages of docs/ that are made from the code: `npm run docs`. */
import { writeFileSync } from 'node:fs'
import { operatorsPage } from './operators-page.js'
import { tablesPage } from './tables-page.js'

writeFileSync('docs/operators.md', operatorsPage())
writeFileSync('docs/tables.md', tablesPage())
