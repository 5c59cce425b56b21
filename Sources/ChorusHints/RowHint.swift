import ChorusData

/// Tells the network something of every row, by the rows that this one may read: those of its context and those committed to
/// its path.
///
/// What it tells is `features` numbers and, where it can, a unit that a head may predict around. It is asked for the rows of a
/// context, of which each is told what the others say; for a row before its value is known; and once more when the value is
/// committed, of which the network is then told how far it lies from what was said. Where several tell a unit, the surest counts.
///
/// It says the same of the same rows, whatever their order, and whatever was asked before.
public protocol RowTeller: Sendable {
  /// How many numbers it tells of a row.
  var features: Int { get }
  /// Looks at the rows of a context, once for all who ask.
  func read(_ rows: NetworkRows, _ fits: HintFits) -> any RowTellerContext
  /// Bytes that it keeps of a path of so many slots at most, beside its rows.
  func bytes(capacity: Int) -> Int
  /// Gets ready to be asked about paths.
  ///
  /// - Parameter rows: the rows committed to them, which come and go.
  func paths(_ rows: PathRows) -> any RowTellerPaths
}

extension RowTeller {
  public func bytes(capacity: Int) -> Int { 0 }
}

/// What a teller knows of a context. Immutable, shared by threads.
public protocol RowTellerContext: AnyObject, Sendable {
  /// What the other rows of the context say of those in `range`.
  ///
  /// - Parameters:
  ///   - features: `[range, pitch]`, of which the first numbers of each row are written.
  /// - Returns: the unit of each, nil where there is none.
  func tell(_ range: Range<Int>, into features: UnsafeMutablePointer<Float>, pitch: Int) -> [Scaling.Unit?]
  /// Looks at inputs that are asked for, `[inputs, dimensions]`, once for all paths; nil where nothing is said of any.
  func asked(_ x: [Float]) -> (any RowTellerInputs)?
  /// What it knows of `rows`: the context's with some more, or (`removing`) without some.
  func changed(to rows: NetworkRows, by some: NetworkRows, removing: Bool) -> any RowTellerContext
}

/// What a teller knows of the inputs of a request. Immutable, shared by threads.
public protocol RowTellerInputs: AnyObject, Sendable {}

/// What a teller keeps of some paths. Belongs to one thread at a time.
public protocol RowTellerPaths: AnyObject {
  /// A row was committed: slot `slot` of a path has another value than before.
  func keep(input: Int, _ value: Float, path: Int, slot: Int)
  /// What the rows that `row` reads say of it.
  ///
  /// - Parameters:
  ///   - context: what is read beside the path; paths may go on in another one than `inputs` were asked in.
  ///   - features: as many numbers as the teller tells.
  /// - Returns: what to predict the row in; nil where nothing is said of it.
  func tell(
    _ row: RowRead, _ context: any RowTellerContext, _ inputs: any RowTellerInputs,
    into features: UnsafeMutablePointer<Float>
  ) -> Scaling.Unit?
}

extension RowTellerPaths {
  public func keep(input: Int, _ value: Float, path: Int, slot: Int) {}
}

/// The context and the inputs that rows were asked in last, by their own types: those of a call share them.
struct AskedIn<Context: RowTellerContext, Inputs: RowTellerInputs> {
  private var last: (context: Context, inputs: Inputs)?

  /// nil for those of another teller.
  mutating func these(
    _ context: any RowTellerContext, _ inputs: any RowTellerInputs
  ) -> (context: Context, inputs: Inputs)? {
    if let last, last.context === context, last.inputs === inputs { return last }
    guard let context = context as? Context, let inputs = inputs as? Inputs else { return nil }
    last = (context, inputs)
    return last
  }
}

/// A teller that a blueprint names among its hints. Of what it finds nothing is kept in files: it is found again in the rows.
///
/// To add one, write a file with a type that conforms and name it in `Hints.ofRows`.
public protocol RowHint: RowTeller, Hashable, Codable {
  /// What blueprints call it.
  static var name: String { get }
  /// Refuses options out of range; throws `DataError.size`.
  func validate() throws(DataError)
}
