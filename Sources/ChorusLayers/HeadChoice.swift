import ChorusTensors

/// A kind of head as a blueprint tells of it.
///
/// A new head is a file with a `Head` and its specification, and a line in `HeadChoice.all`.
public protocol HeadSpecification: Sendable, Hashable, Codable {
  associatedtype Made: Head
  /// What blueprints call it.
  static var name: String { get }
  /// How much of the law is around what a hint says of the row; 0 for nothing.
  var around: Int { get }
  func widened(around: Int) -> (any HeadSpecification)?
  /// Where the `count` raw numbers of a head without anything around a hint stand among the `all` of this one.
  func places(of count: Int, among all: Int) -> [Int]
  /// What is wrong with it; nil where nothing is.
  var fault: String? { get }
  /// The head of rows `width` wide with a hidden layer.
  func head(_ width: Int, hidden: Int, _ scope: inout ParameterScope) -> Made
}

extension HeadSpecification {
  public var around: Int { 0 }
  /// The same with so much more around a hint; nil for a head that predicts around nothing.
  public func widened(around: Int) -> (any HeadSpecification)? { nil }
  public func places(of count: Int, among all: Int) -> [Int] { Array(0..<min(count, all)) }
}

/// The head of a network, of any kind.
public struct HeadChoice: Sendable {
  /// Every kind of head.
  static let all: [any HeadSpecification.Type] = [
    MixtureHead.Specification.self, CategoricalHead.Specification.self, QuantileHead.Specification.self,
    JointGaussianHead.Specification.self, LevelsHead.Specification.self,
  ]

  public let specification: any HeadSpecification

  public init(_ specification: any HeadSpecification) { self.specification = specification }

  /// The kind's name, for people and files.
  public var name: String { type(of: specification).name }
}

extension HeadChoice: Hashable {
  public static func == (a: HeadChoice, b: HeadChoice) -> Bool {
    AnyHashable(a.specification) == AnyHashable(b.specification)
  }
  public func hash(into hasher: inout Hasher) { hasher.combine(AnyHashable(specification)) }
}

/// An object with the name of the kind and that kind's fields.
extension HeadChoice: Codable {
  private enum Key: String, CodingKey { case name }

  public init(from decoder: any Decoder) throws {
    let name = try decoder.container(keyedBy: Key.self).decode(String.self, forKey: .name)
    guard let kind = Self.all.first(where: { $0.name == name }) else {
      throw UnknownField(name, path: ["head", "name"], known: Self.all.map { $0.name })
    }
    specification = try kind.init(from: decoder)
  }

  public func encode(to encoder: any Encoder) throws {
    var named = encoder.container(keyedBy: Key.self)
    try named.encode(name, forKey: .name)
    try specification.encode(to: encoder)
  }
}
