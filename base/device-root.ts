/** `/`, or the folder with the files of a device that is not this machine: a mounted card, or a recorded tree. */
export const deviceRoot = (env: NodeJS.ProcessEnv = process.env): string => env['PARLEY_ROOT'] || '/'
