/** The command that goes on with an interrupted run: the same one, but for what would make it begin anew. */
export function resumeLine(args: readonly string[]): string {
  const kept = args.filter((argument) => !/^--overwrite(=.*)?$/.test(argument))
  return ['retrograd', ...kept].map(quoted).join(' ')
}

/** An argument as a shell takes it. */
export function quoted(argument: string): string {
  return /^[\w./:=,@%+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`
}
