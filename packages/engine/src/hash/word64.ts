/**
 * An unsigned 64-bit number as two 32-bit halves, altered in place. Hashing needs the low 64 bits of products, which
 * numbers cannot hold and BigInts are an allocation each for.
 */
export class Word64 {
  high: number;
  low: number;

  constructor(high = 0, low = 0) {
    this.high = high >>> 0;
    this.low = low >>> 0;
  }

  set(high: number, low: number): this {
    this.high = high >>> 0;
    this.low = low >>> 0;
    return this;
  }

  copy(other: Word64): this {
    this.high = other.high;
    this.low = other.low;
    return this;
  }

  add(other: Word64): this {
    const low = this.low + other.low;
    this.high = (this.high + other.high + (low > 0xffff_ffff ? 1 : 0)) >>> 0;
    this.low = low >>> 0;
    return this;
  }

  subtract(other: Word64): this {
    const low = this.low - other.low;
    this.high = (this.high - other.high - (low < 0 ? 1 : 0)) >>> 0;
    this.low = low >>> 0;
    return this;
  }

  multiply(other: Word64): this {
    const lowLow = (this.low & 0xffff) * (other.low & 0xffff);
    const lowHigh = (this.low & 0xffff) * (other.low >>> 16);
    const highLow = (this.low >>> 16) * (other.low & 0xffff);
    const middle = (lowLow >>> 16) + (lowHigh & 0xffff) + (highLow & 0xffff);
    const carried =
      (this.low >>> 16) * (other.low >>> 16) + (lowHigh >>> 16) + (highLow >>> 16) + (middle >>> 16);
    this.high = (carried + Math.imul(this.low, other.high) + Math.imul(this.high, other.low)) >>> 0;
    this.low = Math.imul(this.low, other.low) >>> 0;
    return this;
  }

  xor(other: Word64): this {
    this.high = (this.high ^ other.high) >>> 0;
    this.low = (this.low ^ other.low) >>> 0;
    return this;
  }

  /** Rotates left by 1 to 31 bits. */
  rotate(bits: number): this {
    const { high, low } = this;
    this.high = ((high << bits) | (low >>> (32 - bits))) >>> 0;
    this.low = ((low << bits) | (high >>> (32 - bits))) >>> 0;
    return this;
  }

  /** Mixes the number with itself shifted right by 1 to 63 bits. */
  xorShift(bits: number): this {
    const { high, low } = this;
    if (bits >= 32) {
      this.low = (low ^ (high >>> (bits - 32))) >>> 0;
      return this;
    }
    this.high = (high ^ (high >>> bits)) >>> 0;
    this.low = (low ^ ((low >>> bits) | (high << (32 - bits)))) >>> 0;
    return this;
  }

  /** The remainder of a division by a number below 2^26. */
  modulo(divisor: number): number {
    return ((this.high % divisor) * (0x1_0000_0000 % divisor) + this.low) % divisor;
  }

  /** The upper 53 bits: orders like the whole, and is a number. */
  get upper53(): number {
    return this.high * 0x20_0000 + (this.low >>> 11);
  }
}
