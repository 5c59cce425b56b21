import ChorusData
import ChorusLayers
import ChorusModels
import ChorusTensors
import Foundation
import Testing

@testable import ChorusInference

/// Series with more rows than are read: which are read, and that what else is asked does not change an answer.
@Suite("Series longer than the model reads")
struct LongSeriesTests {
  private static func series(_ count: Int) throws -> Dataset {
    var noise = RandomStream(seed: 3, .paths, UInt64(count))
    let x = (0..<count).map(Double.init)
    let y = x.map { (t: Double) -> Double in
      let wave: Double = sin(2 * Double.pi * t / 24)
      return wave + 0.1 * noise.normal()
    }
    return try Dataset(x: x, y: y)
  }

  private func values(_ posterior: Posterior, _ at: [Double]) throws -> [[Double]] {
    try posterior.sample(3, at: Inputs(at), plan: .independent, seed: 5).paths
  }

  @Test("After the last row the latest rows are read, whatever is asked")
  func forecasts() throws {
    let (model, data) = (try Model(named: "functions"), try Self.series(1300))
    let limit = Posterior.contextLimit(model.blueprint, dimensions: 1)
    #expect(limit < data.count)
    for asked in [[1300.0], [1300, 1301, 1302], [1310, 1300, 5000], [1299.5, 1400]] {
      let rows = try #require(Posterior.nearestRows(times: data.x, y: data.y, to: limit, asked))
      #expect(rows == Array(data.count - limit..<data.count), "\(asked)")
    }
    // Without targets, as a context is kept: the same.
    let latest = try Posterior(model, data)
    let one = try Posterior(model, data, asked: Inputs([1300]))
    let many = try Posterior(model, data, asked: Inputs([1300, 1320, 2000]))
    let alone = try values(one, [1300])
    #expect(try values(latest, [1300]) == alone)
    #expect(try values(many, [1300, 1320, 2000]).map { [$0[0]] } == alone)
    #expect(latest.notes.contains(.contextLatest(from: 1300, to: limit)))
  }

  @Test("Rows are chosen when a context is made, by the targets that are said then, and by no request")
  func declared() throws {
    let (model, data) = (try Model(named: "functions"), try Self.series(1300))
    let posterior = try Posterior(model, data, asked: Inputs([100.5, 700.5]))
    let alone = try values(posterior, [100.5])
    for others in [[700.5], [700.5, 1250.5], [2000]] {
      #expect(try values(posterior, [100.5] + others).map { [$0[0]] } == alone, "\(others)")
    }
    // Order and repetition of the targets say nothing.
    let again = try Posterior(model, data, asked: Inputs([700.5, 100.5, 100.5]))
    #expect(try values(again, [100.5]) == alone)
    // The rows around a gap are read, though they are not the latest.
    let limit = Posterior.contextLimit(model.blueprint, dimensions: 1)
    let rows = try #require(Posterior.nearestRows(times: data.x, y: data.y, to: limit, [100.5]))
    #expect(rows.first == 0 && rows.contains(100) && rows.contains(101) && rows.count == limit)
  }

  // MARK: Asked anywhere

  private static func sections(_ model: Model, _ data: Dataset) throws -> SectionedPosterior<Posterior> {
    try #require(SectionedPosterior(model, data) { try model.condition(on: $0) })
  }

  @Test("A point has rows on both sides, and which are read depends on the rows alone")
  func windows() throws {
    let (model, data) = (try Model(named: "functions"), try Self.series(5000))
    let limit = Posterior.contextLimit(model.blueprint, dimensions: 1)
    let sections = try Self.sections(model, data)
    var windows: Set<Int> = []
    for point in stride(from: -20.5, to: 5020, by: 7) {
      let window = sections.window(of: point)
      windows.insert(window)
      let rows = sections.rows(of: window)
      #expect(rows.count == limit && rows == Array(rows[0]..<rows[0] + limit), "\(point)")
      let before = Int(min(max(point.rounded(.up), 0), 5000))
      #expect(before - rows[0] >= min(limit / 4, before), "\(point)")
      #expect(rows[limit - 1] + 1 - before >= min(limit / 4, 5000 - before), "\(point)")
    }
    #expect(windows == Set(0...sections.window(of: 5000)))
    #expect(sections.rows(of: sections.window(of: 5000)).last == 4999)
    // The order in which rows come says nothing.
    let turned = try Self.sections(model, data.rows(Array((0..<5000).reversed())))
    #expect(turned.window(of: 2000.5) == sections.window(of: 2000.5))
    #expect(
      turned.rows(of: 3).map { 4999 - $0 }.sorted() == sections.rows(of: 3))
  }

  @Test("What else is asked changes no byte of an answer, nearby or far away")
  func noLeakage() throws {
    let (model, data) = (try Model(named: "functions"), try Self.series(2600))
    let sections = try Self.sections(model, data)
    func laws(_ at: [Double]) throws -> [ChorusLayers.GaussianMixture] {
      try sections.laws(of: Inputs(at), flopLimit: 1e13).compactMap { $0 as? ChorusLayers.GaussianMixture }
    }
    func paths(_ at: [Double]) throws -> [[Double]] {
      try sections.paths(
        3, at: Inputs(at), plan: .independent, seed: 5, latent: false, flopLimit: 1e13, progress: nil
      ).paths
    }
    let alone = (try laws([700.5])[0], try paths([700.5]))
    for others in [[701.5], [100.5], [1900.5], [2700], [2600, 20.5, 1300.5, 700.25]] {
      #expect(try laws(others + [700.5]).last == alone.0, "\(others)")
      #expect(try paths([700.5] + others).map { [$0[0]] } == alone.1, "\(others)")
    }
    // Points of other windows before it, too.
    #expect(try paths([1900.5, 2700, 700.5]).map { [$0[2]] } == alone.1)
    // What a row says that is not read by its window is not heard, and what is in it is.
    func moved(_ row: Int) throws -> ChorusLayers.GaussianMixture {
      var y = data.y
      y[row] += 1
      let other = try Self.sections(model, Dataset(x: data.x, y: y))
      return try #require(
        other.laws(of: Inputs([700.5]), flopLimit: 1e13)[0] as? ChorusLayers.GaussianMixture)
    }
    let window = sections.rows(of: sections.window(of: 700.5))
    #expect(try moved(window[0] + window.count + 5) == alone.0)
    #expect(try moved(702) != alone.0)
  }

  @Test(
    "Behind the last row it is the series of the latest rows; densities and paths of windows go together as they are told to"
  )
  func answers() throws {
    let (model, data) = (try Model(named: "functions"), try Self.series(2600))
    let sections = try Self.sections(model, data)
    let latest = try Posterior(model, data)
    let next = try Inputs([2600, 2601, 2605])
    func drawn(_ at: Inputs) throws -> Posterior.Samples {
      try sections.paths(
        4, at: at, plan: .sequential, seed: 2, latent: false, flopLimit: 1e13, progress: nil)
    }
    let plain = try latest.sample(4, at: next, plan: .sequential, seed: 2)
    #expect(try drawn(next).paths == plain.paths)
    #expect(try drawn(next).notes == plain.notes)
    let limit = Posterior.contextLimit(model.blueprint, dimensions: 1)
    let apart = try drawn(Inputs([300.5, 1600.5]))
    guard case .contextSections(from: 2600, each: limit, read: let read, sections: 2) = apart.notes[0] else {
      Issue.record("\(apart.notes)")
      return
    }
    #expect(apart.notes[0].description.contains("the \(limit) around each point were read, in 2 sections"))
    #expect(
      read == 2600 || apart.notes[0].description.contains("\(2600 - read) rows were left out"))
    // A path's values are those of each window, and the same numbers are not drawn twice.
    let mirrored = try drawn(Inputs([1600.5, 300.5]))
    #expect(apart.paths.map { [$0[1], $0[0]] } == mirrored.paths)
    func density(_ y: [Double], _ at: [Double]) throws -> Double {
      try sections.density(
        of: y, at: Inputs(at), plan: .sequential, orders: 2, seed: 1, flopLimit: 1e13
      ).value
    }
    let both = try density([0.1, -0.2], [300.5, 1600.5])
    #expect(abs(both - (try density([0.1], [300.5])) - (try density([-0.2], [1600.5]))) < 1e-9)
    // Conditions are of whole paths.
    let middle = apart.paths.map { $0.reduce(0, +) }.sorted()[2]
    let kept = try sections.paths(
      10, at: Inputs([300.5, 1600.5]), given: [.path(in: middle ... .infinity) { $0.reduce(0, +) }],
      plan: .sequential, seed: 2, latent: false, flopLimit: 1e13, progress: nil)
    #expect(kept.paths.count == 10 && kept.paths.allSatisfy { $0.reduce(0, +) >= middle })
  }

  @Test("A series with a column beside time is divided as one without")
  func covariates() throws {
    let model = try Model(named: "functions")
    let plain = try Self.series(1500)
    let rows = try Dataset(
      inputs: Inputs(plain.x.flatMap { [$0, sin($0)] }, dimensions: 2),
      y: zip(plain.x, plain.y).map { $1 + 2 * sin($0) })
    let read: @Sendable (Dataset) throws -> CovariatePosterior = {
      try CovariatePosterior(model, $0, [.number])
    }
    let sections = try #require(SectionedPosterior(model, rows, covariates: 1, read: read))
    func law(_ points: [[Double]]) throws -> [Double] {
      try sections.laws(of: Inputs(points), flopLimit: 1e13).map(\.mean)
    }
    let alone = try law([[300.5, 1]])
    #expect(try law([[300.5, 1], [1400.5, 0], [1600, 1]])[0] == alone[0])
    #expect(SectionedPosterior(model, rows.rows(Array(0..<800)), covariates: 1, read: read) == nil)
  }
}
