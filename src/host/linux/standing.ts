/** Whether something tracked is up: so many good looks in a row make it so, so many bad ones the contrary. */
export class Standing {
  private inRow = 0;

  /**
   * @param rise good looks in a row that make it up, 1…
   * @param fall bad looks in a row that make it down, 1…
   * @param up as it is known already; undefined: the first look decides alone
   */
  constructor(
    private readonly rise: number,
    private readonly fall: number,
    public up: boolean | undefined,
  ) {}

  /** @returns whether that changed anything, or is the first that is known */
  see(good: boolean): boolean {
    if (good === this.up) {
      this.inRow = 0;
      return false;
    }
    this.inRow++;
    if (this.up !== undefined && this.inRow < (good ? this.rise : this.fall)) return false;
    this.up = good;
    this.inRow = 0;
    return true;
  }
}
