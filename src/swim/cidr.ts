/** Networks that members may come from (S-030): packets, streams and announced addresses from elsewhere are refused. */
import { ipToBytes } from "../base/endpoint.ts";
import { fail, ok, type Result } from "../base/result.ts";

export interface Cidr {
  /** 4 or 16 bytes, bits behind the prefix are zero or ignored. */
  readonly addr: Uint8Array;
  readonly prefixBits: number;
}

const V4_BYTES = 4;
const V6_BYTES = 16;
/** Zero bytes and 0xffff in front of an IPv4 address written as IPv6. */
const MAPPED_BYTES = V6_BYTES - V4_BYTES;

/** "10.0.0.0/8", "fd00::/8". */
export function parseCidr(text: string): Result<Cidr> {
  const slash = text.indexOf("/");
  const addr = slash < 0 ? null : ipToBytes(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  if (addr === null || !/^(0|[1-9][0-9]{0,2})$/.test(bits) || Number(bits) > 8 * addr.length) return fail(`invalid CIDR address: ${text}`);
  return ok({ addr, prefixBits: Number(bits) });
}

/** Whether one of the networks holds `addr`. No network at all holds nothing. */
export function isInside(addr: Uint8Array, networks: readonly Cidr[]): boolean {
  const plain = addr.length === V6_BYTES && isMapped(addr) ? addr.subarray(MAPPED_BYTES) : addr;
  return networks.some((network) => network.addr.length === plain.length && sharesPrefix(plain, network));
}

function isMapped(addr: Uint8Array): boolean {
  return addr.subarray(0, MAPPED_BYTES).every((byte, i) => byte === (i < MAPPED_BYTES - 2 ? 0 : 0xff));
}

function sharesPrefix(bytes: Uint8Array, { addr, prefixBits }: Cidr): boolean {
  for (let i = 0; 8 * i < prefixBits; i += 1) {
    const mask = prefixBits - 8 * i >= 8 ? 0xff : 0xff & (0xff << (8 - (prefixBits - 8 * i)));
    if ((((bytes[i] as number) ^ (addr[i] as number)) & mask) !== 0) return false;
  }
  return true;
}
