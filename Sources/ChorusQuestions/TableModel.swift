import ChorusInference
import ChorusModels
import ChorusTensors

/// The model that a table is asked by, and what a person should know about it.
package struct TableModel: Sendable {
  package let model: Model
  /// Where categories are not asked as they would be with all that comes with Chorus, why; else nil.
  package let note: String?

  /// - Parameters:
  ///   - name: as it was given: a model of tables leaves categories to estimators, one of classes is asked of nothing else, one that reads
  ///     cells of no category. Nil for what is shipped: a network for numbers and one for categories.
  ///   - categories: whether a target is a category.
  package init(_ name: String?, categories: Bool, precision: Precision = .f32) throws {
    guard let name else {
      model = try Model.ofTables(categories: categories, precision: precision)
      note = categories && model.ofCategories == nil ? Self.lacking : nil
      return
    }
    model = try Model(named: name, precision: precision)
    guard model.blueprint.readsTables else {
      throw ModelError.input("model '\(model.name)' does not read tables; take model 'tables'")
    }
    guard !categories || model.blueprint.isTold else { throw TablePosterior.notOfCategories(model) }
    note = nil
  }

  package init(_ model: Model) { (self.model, note) = (model, nil) }

  /// A model of numbers, and one of categories where there is one.
  package init(_ model: Model, beside classes: Model?) throws {
    self.model = try model.with(ofCategories: classes)
    note = classes == nil ? Self.lacking : nil
  }

  /// Said where a category is asked for and no network of classes is at hand.
  package static let lacking =
    "the model 'classes' is not at hand, so categories are said by estimators alone, each row by itself; --model tables asks for that"
}
