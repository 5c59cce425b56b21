import ChorusPriors
import ChorusTensors
import Testing

@Suite("The functions prior")
struct FunctionsPriorTests {
  @Test("Every family appears, with its oracle or its ceiling, in one to three dimensions")
  func families() throws {
    var counts = [String: Int]()
    let generator = TaskGenerator(FunctionsPrior(), seed: 1)
    let tasks = 3000
    for index in 0..<tasks {
      let shape = TaskShape(context: 10, buffer: 3, targets: 7, dimensions: 1 + index % 3)
      let task = try generator.task(index, step: 0, shape: shape)
      counts[task.component, default: 0] += 1
      #expect(task.x.count == 20 * shape.dimensions && task.y.count == 20)
      #expect(task.x.allSatisfy(\.isFinite) && task.y.allSatisfy(\.isFinite))
      if task.component == "sawtooth" {
        #expect(task.ceiling != nil)
      }
      if task.component == "sawtooth", shape.dimensions > 1 {
        #expect(task.oracle == nil)
      } else {
        let law = try #require(try task.exactLaw())
        #expect(law.joint.isFinite && law.independent.isFinite)
      }
    }
    for (name, probability) in FunctionsPrior.families {
      let error = (probability * (1 - probability) / Double(tasks)).squareRoot()
      #expect(abs(Double(counts[name] ?? 0) / Double(tasks) - probability) < 4 * error, "\(name)")
    }
  }

  @Test("The oracle is calibrated on the drawn tasks: squared whitened residuals average one")
  func calibration() throws {
    let generator = TaskGenerator(FunctionsPrior(), seed: 2)
    var squares = [Double]()
    for index in 0..<3000 {
      let task = try generator.task(
        index, step: 0, shape: .init(context: 9, targets: 2, dimensions: 1 + index % 3))
      guard let law = try task.exactLaw() else { continue }
      let residual = task.y[10] - law.means[1]
      squares.append(residual * residual / law.variances[1])
    }
    let mean = Average(squares)
    #expect(abs(mean.mean - 1) < 4 * mean.error)
  }

  @Test("Targets are asked about beyond the context and inside gaps, and often not")
  func geometry() throws {
    let generator = TaskGenerator(FunctionsPrior(), seed: 3)
    var (future, gap, mixed) = (0, 0, 0)
    for index in 0..<600 {
      let task = try generator.task(index, step: 0, shape: .init(context: 20, buffer: 5, targets: 15))
      let context = task.x[task.contextRows].sorted()
      let rest = Array(task.x[task.bufferRows]) + task.x[task.targetRows]
      if let last = context.last, rest.allSatisfy({ $0 > last }) {
        future += 1
      } else if zip(context, context.dropFirst()).contains(where: { a, b in
        rest.allSatisfy { a < $0 && $0 < b }
      }) {
        gap += 1
      } else {
        mixed += 1
      }
    }
    #expect((80...160).contains(future))  // 0.2 of 600
    #expect((35...95).contains(gap))  // 0.105 of 600
    #expect(mixed > 300)
  }

  @Test("The largest tasks of training can be factored")
  func large() throws {
    let generator = TaskGenerator(FunctionsPrior(), seed: 4)
    for index in 0..<40 {
      let task = try generator.task(
        index, step: 0, shape: .init(context: 192, buffer: 16, targets: 128, dimensions: 1 + index % 3))
      #expect(task.y.count == 336)
    }
  }
}
