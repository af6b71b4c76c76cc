/** Record types that this package names (RFC 1035 section 3.2.2, RFC 3596, RFC 2782, RFC 6891, RFC 5936). */
export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

/** Response codes (RFC 1035 section 4.1.1); BADVERS needs the upper bits in OPT (RFC 6891 section 6.1.3). */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

export type Rcode = (typeof RCODE)[keyof typeof RCODE];

export const CLASS_IN = 1;
export const CLASS_ANY = 255;

/** What every DNS client takes over UDP without EDNS (RFC 1035 section 4.2.1). */
export const CLASSIC_UDP_BYTES = 512;
