/** bundle.json is text that a person reads; larger is not one. */
export const MAX_MANIFEST_BYTES = 4 * 2 ** 20
/** Files that no model here needs more of; a bundle of a large model has tens. */
export const MAX_FILES = 500
/** A device with 8 GB cannot run more; also stops a bundle from filling the disk by surprise. */
export const MAX_BUNDLE_BYTES = 32 * 2 ** 30
/** The tokenizer is parsed in memory. */
export const MAX_TOKENIZER_BYTES = 64 * 2 ** 20
/** Golden recordings are a few seconds. */
export const MAX_GOLDEN_BYTES = 8 * 2 ** 20
