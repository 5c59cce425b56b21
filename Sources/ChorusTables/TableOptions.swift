/// How a file is read.
public struct TableOptions: Sendable, Hashable {
  /// What stands between cells of a text file; nil to find out.
  public var delimiter: Delimiter?
  /// The decimal mark of numbers in a text file. With a comma the delimiter is none unless one is given. Without a
  /// mark it is the point, and a number like `1,234` is refused where nothing tells what its comma is.
  public var decimal: DecimalMark?
  /// How dates are written, where it is told.
  public var dateNotation: DateNotation?
  /// Cells that hold no value, beside empty ones and the usual words; a number stands for all ways to write it.
  public var missing: [String] = []
  /// How many times its size a compressed file may expand to, once it is past 64 MiB.
  public var expansionLimit = 100
  /// Columns to keep as numbers or dates, eight bytes a cell; nil keeps every column, as numbers and as text.
  public var numbers: [String]?
  /// Columns to keep as text, where `numbers` are named.
  public var texts: [String] = []
  /// Those of `numbers` and `texts` that the file may lack; any other that is not there is an error.
  public var optional: [String] = []

  /// The named columns that have to be there.
  var required: [String] { ((numbers ?? []) + texts).filter { !optional.contains($0) } }

  public init(delimiter: Delimiter? = nil, decimal: DecimalMark? = nil) {
    self.delimiter = delimiter
    self.decimal = decimal
  }
}
