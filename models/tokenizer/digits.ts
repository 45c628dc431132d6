/** `10:45` → `10` `:` `45`, `125` → `1` `25`, `2.50` → `2` `.` `50`. Undefined for a word that does not begin with a digit. */
export function digitGroups(word: string): string[] | undefined {
  if (!/^[0-9]/.test(word)) return undefined
  const groups: string[] = []
  for (const part of word.match(/[0-9]+|[:.]/g) ?? []) {
    if (part === ':' || part === '.') {
      groups.push(part)
      continue
    }
    // groups of two from the right, so that the first may be a single digit: each group is one piece and one sound
    const first = part.length % 2
    if (first) groups.push(part.slice(0, 1))
    for (let i = first; i < part.length; i += 2) groups.push(part.slice(i, i + 2))
  }
  return groups
}
