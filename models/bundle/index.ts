export { loadBundle, parseManifest, type Bundle, type LoadOptions } from './load.js'
export { Manifest, SCHEMA_VERSION, manifestJsonSchema, type Tool, type ToolArg } from './schema.js'
