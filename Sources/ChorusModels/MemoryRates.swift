import ChorusMemories
import ChorusPlans

extension WorkRates.Memory {
  init(_ work: MemoryWork) {
    self.init(
      write: work.write, finish: work.finish, read: work.read, contextRow: work.contextRow,
      ownRow: work.ownRow, append: work.append, appendRow: work.appendRow, exponentials: work.exponentials)
  }
}

extension WorkRates.Held {
  init(_ work: MemoryWork) {
    self.init(
      context: work.contextNumbers, contextRow: work.contextRowNumbers, path: work.pathNumbers,
      ownRow: work.ownRowNumbers)
  }
}
