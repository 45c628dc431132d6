/** What a check saw. What is not well says how it is mended: a command where there is one, else the step. */
export type Seen =
  | { readonly state: 'ok'; readonly seen: string; /** What more can be done. */ readonly mend?: string }
  | { readonly state: 'warn' | 'fail'; readonly seen: string; readonly mend: string }

export type Finding = Seen & { readonly what: string }
