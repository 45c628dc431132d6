import { startDevice } from './fake-device.js'

/** A device in a process of its own, to be killed: `<broker url> <folder>`. */
await startDevice({ teardown: () => {} }, { url: process.argv[2]! }, process.argv[3]!)
