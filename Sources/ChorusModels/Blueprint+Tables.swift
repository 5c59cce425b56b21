import ChorusHints
import ChorusLayers

/// Families whose rows are those of a table.
extension Blueprint {
  /// Whether rows are those of a table: numbers, categories, missing cells.
  public var readsTables: Bool { isTold || family == .cells }
  /// Whether rows are what estimators tell of a table's cells, and not the cells themselves.
  public var isTold: Bool { family == .table || family == .classes }

  /// Whether rows may have so many inputs: told rows have as many as they are told.
  public func takes(dimensions: Int) -> Bool {
    switch family {
    case .table: dimensions == inputDimensions
    case .classes:
      ToldClasses.passes(width: dimensions) > 1 && dimensions % ToldRow.level.width == 1
        && dimensions <= inputDimensions
    default: (1...inputDimensions).contains(dimensions)
    }
  }

  /// What a network of tables has to be: its rows are what estimators tell, and so many numbers.
  func validateTable() throws(ModelError) {
    guard inputDimensions == TableExperts.width, hints == Hints(), frequencies == 0, bufferPositions == .none,
      scaling == .standardise
    else {
      throw .blueprint(
        "family 'table' is told \(TableExperts.width) numbers a row in units of the context: give inputDimensions"
          + " \(TableExperts.width), scaling 'standardise', and no hints, frequencies or bufferPositions")
    }
    guard parts.coordinates == 0 || parts.coordinates == TableExperts.coordinates else {
      throw .blueprint(
        "parts: coordinates is \(parts.coordinates); a table's rows have \(TableExperts.coordinates), or 0")
    }
    guard let mixture = head.specification as? MixtureHead.Specification,
      mixture.around == 0 || mixture.units == TableExperts.count
    else {
      throw .blueprint(
        "head: family 'table' has a mixture around \(TableExperts.count) estimators; set units to \(TableExperts.count)"
      )
    }
  }

  /// What a network of classes has to be: its rows are what estimators tell of every level, and its head is around that.
  func validateClasses() throws(ModelError) {
    let head = head.specification as? LevelsHead.Specification
    guard (family == .classes) == (head != nil) else {
      throw .blueprint("family 'classes' and head 'levels' belong to each other; give both or none")
    }
    guard family == .classes else { return }
    let most = ToldClasses.mostPasses * ToldRow.level.width + 1
    guard inputDimensions == most, hints == Hints(), frequencies == 0, bufferPositions == .none,
      scaling == .none
    else {
      throw .blueprint(
        "family 'classes' is told up to \(most) numbers a row in units of its own: give inputDimensions \(most), and no"
          + " scaling, hints, frequencies or bufferPositions")
    }
    guard parts.coordinates == TableExperts.coordinates else {
      throw .blueprint(
        "parts: coordinates is \(parts.coordinates); rows of family 'classes' have \(TableExperts.coordinates)"
      )
    }
    guard head?.around == ToldClasses.estimators else {
      throw .blueprint(
        "head: family 'classes' has levels around \(ToldClasses.estimators) estimators; set around to that")
    }
  }
}
