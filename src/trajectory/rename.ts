/** A way to change all names of one side, and how a report words it. */
export interface Renaming {
  readonly removed: readonly string[]
  readonly rename: (name: string) => string
}

/** TensorFlow's suffix of a variable's first output. */
const OUTPUT_SUFFIX = ':0'

/** Wrappers that put their own component into names, wherever the wrapped module sits (torch.compile, FSDP). */
const WRAPPERS = ['_orig_mod.', '_fsdp_wrapped_module.', '_checkpoint_wrapped_module.']

/** DataParallel's; modules of one's own may be called so too, so that it goes within names only as a further try. */
const PARALLEL = 'module.'

/** What tools put in front of every name: it says nothing about which network the weights are of. */
const MEANINGLESS = new Set([OUTPUT_SUFFIX, PARALLEL, 'model.', ...WRAPPERS])

const LEADING_COMPONENT = /^[^./]+[./]/

/**
 * The renamings that may bring a set of names to the names of the other side, mildest first: nothing; without `:0`;
 * without wrappers' components; without `module.` within names; then without one leading component after the other, as long as all names share it.
 */
export function renamings(names: readonly string[]): Renaming[] {
  const bases = [identity, ...suffixRenaming(names, identity)]
  const unwrapped = bases.flatMap((base) => [base, ...wrapperRenaming(names, base)])
  return unwrapped.flatMap((base) => [base, ...prefixRenamings(names, base)])
}

/** Whether a renaming removed only what tools add, and no name that someone chose. */
export function keepsMeaning({ removed }: Renaming): boolean {
  return removed.every((part) => MEANINGLESS.has(part))
}

const identity: Renaming = { removed: [], rename: (name) => name }

function suffixRenaming(names: readonly string[], base: Renaming): Renaming[] {
  if (!names.every((name) => name.endsWith(OUTPUT_SUFFIX))) return []
  return [then(base, OUTPUT_SUFFIX, (name) => name.slice(0, -OUTPUT_SUFFIX.length))]
}

function wrapperRenaming(names: readonly string[], base: Renaming): Renaming[] {
  const present = WRAPPERS.filter((wrapper) => names.some((name) => hasComponent(name, wrapper)))
  const unwrapped = present.length === 0 ? [] : [without(present, base)]
  const isInside = names.some((name) => name.includes(`.${PARALLEL}`))
  return isInside ? [...unwrapped, without([...present, PARALLEL], base)] : unwrapped
}

function without(wrappers: readonly string[], base: Renaming): Renaming {
  return wrappers.reduce(
    (renaming, wrapper) => then(renaming, wrapper, (name) => dropAll(name, wrapper)),
    base,
  )
}

function prefixRenamings(names: readonly string[], base: Renaming): Renaming[] {
  const found: Renaming[] = []
  let current = base
  for (;;) {
    const renamed = names.map(current.rename)
    const prefix = LEADING_COMPONENT.exec(renamed[0] ?? '')?.[0]
    if (prefix === undefined || !renamed.every((name) => name.startsWith(prefix))) return found
    current = then(current, prefix, (name) => name.slice(prefix.length))
    found.push(current)
  }
}

function then(base: Renaming, removed: string, rename: (name: string) => string): Renaming {
  return { removed: [...base.removed, removed], rename: (name) => rename(base.rename(name)) }
}

function hasComponent(name: string, component: string): boolean {
  return name.startsWith(component) || name.includes(`.${component}`)
}

function dropAll(name: string, component: string): string {
  return name
    .split('.')
    .filter((part) => `${part}.` !== component)
    .join('.')
}
