/** Writes the pages of docs/ that are made from the code: `npm run docs`. */
import { writeFileSync } from 'node:fs'
import { batchJsonSchema } from '../src/batch/schema.js'
import { BATCH_TABLE } from '../src/cli/batch-options.js'
import { operatorsPage } from './operators-page.js'
import { tablesPage } from './tables-page.js'

writeFileSync('docs/operators.md', operatorsPage())
writeFileSync('docs/tables.md', tablesPage())
writeFileSync('docs/batch.schema.json', `${JSON.stringify(batchJsonSchema(BATCH_TABLE), null, 2)}\n`)
