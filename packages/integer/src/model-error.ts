/** A program, a weights file or an input that does not obey docs/specs/integer-model.md. `field` names the offending part, as in `ops[1].shift`. */
export class IntegerModelError extends Error {
  override readonly name = 'IntegerModelError';
  readonly field: string;

  constructor(field: string, problem: string) {
    super(`${field}: ${problem}`);
    this.field = field;
  }
}
