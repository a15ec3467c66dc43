import { mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { readdirSync } from 'node:fs'

/** Moves a results folder into a tree of many runs, as `retrograd batch` lays it out: `TABLE/run=NAME`, `runs/NAME`. */
export function moveIntoTree(dir: string, tree: string, run: string): void {
  const tables = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  for (const { name } of tables) {
    mkdirSync(join(tree, name), { recursive: true })
    renameSync(join(dir, name), join(tree, name, `run=${run}`))
  }
  mkdirSync(join(tree, 'runs', run), { recursive: true })
  renameSync(join(dir, 'manifest.json'), join(tree, 'runs', run, 'manifest.json'))
}
