/** Something that this machine lacks and that we cannot put there: its message says what and how. */
export class Missing extends Error {}

export const say = text => process.stdout.write(`${text}\n`)
