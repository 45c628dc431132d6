import { sign, type KeyObject } from 'node:crypto'

/** A request for a certificate (PKCS #10, RFC 2986) for this name, signed with a P-256 key, in PEM. Node has no function for it. */
export function certificateRequest(commonName: string, publicKey: KeyObject, privateKey: KeyObject): string {
  const name = seq(tlv(0x31, seq(OID_COMMON_NAME, tlv(0x0c, Buffer.from(commonName)))))
  const info = seq(tlv(0x02, Buffer.from([0])), name, publicKey.export({ type: 'spki', format: 'der' }), tlv(0xa0, Buffer.alloc(0)))
  const signature = sign('sha256', info, privateKey)
  const der = seq(info, seq(OID_ECDSA_SHA256), tlv(0x03, Buffer.concat([Buffer.from([0]), signature])))
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE REQUEST-----\n`
}

/** 2.5.4.3 */
const OID_COMMON_NAME = Buffer.from([0x06, 0x03, 0x55, 0x04, 0x03])
/** 1.2.840.10045.4.3.2 */
const OID_ECDSA_SHA256 = Buffer.from([0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])

const seq = (...parts: Buffer[]): Buffer => tlv(0x30, Buffer.concat(parts))

function tlv(tag: number, body: Buffer): Buffer {
  const length = body.length < 0x80 ? [body.length] : body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
