/// The members of a zip archive: what NumPy's `savez` and `savez_compressed` write, stored or deflated.
///
/// Own code for the reason that ``Inflater`` has.
struct ZipArchive {
  struct Member {
    let name: String
    let method: UInt16
    let flags: UInt16
    let sum: UInt32
    /// Bytes in the archive, and expanded.
    let packed: Int
    let size: Int
    let header: Int
  }

  /// Bytes that can be read at any place.
  private enum Bytes {
    case file(FileSource)
    case memory([UInt8])
  }

  /// The largest archive that is read from standard input, which can not be read at any place.
  private static let memoryLimit = 1 << 30
  private static let directoryLimit = 64 << 20

  let name: String
  private let bytes: Bytes
  private let size: Int
  private(set) var members: [Member] = []

  /// An archive in a plain file; nil where the file can be read from front to back only.
  init?(file: FileSource) throws(TableError) {
    guard let size = file.size else { return nil }
    (name, bytes, self.size) = (file.name, .file(file), size)
    members = try directory()
  }

  /// An archive that a source holds, all of it read into memory.
  init(all source: any ByteSource, name: String) throws(TableError) {
    let all = try source.take(Self.memoryLimit + 1)
    guard all.count <= Self.memoryLimit else {
      throw TableError(
        .malformed, name, "is an archive of more than \(Self.memoryLimit >> 20) MiB; name it as a file.")
    }
    (self.name, bytes, size) = (name, .memory(all), all.count)
    members = try directory()
  }

  /// Up to `count` bytes from `offset`, which is in the archive.
  private func read(_ offset: Int, _ count: Int) throws(TableError) -> [UInt8] {
    try Range(bytes: self, offset, count).take(count)
  }

  private func damaged(_ what: String) -> TableError {
    TableError(.compressed, name, "the archive is damaged: \(what); is the file cut off?")
  }

  // MARK: - The directory

  private func directory() throws(TableError) -> [Member] {
    let tailStart = max(0, size - 65_557)
    let tail = LittleEndian(try read(tailStart, size - tailStart))
    guard
      let end = stride(from: tail.count - 22, through: 0, by: -1).first(where: { place in
        tail.u32(place) == 0x0605_4B50 && place + 22 + Int(tail.u16(place + 20) ?? 0) == tail.count
      }), let entries = tail.u16(end + 10), let length = tail.u32(end + 12), let start = tail.u32(end + 16)
    else { throw damaged("it has no directory") }
    var (count, bytes, first) = (Int(entries), Int(length), Int(start))
    if entries == .max || length == .max || start == .max {
      guard tail.u32(end - 20) == 0x0706_4B50, let place = tail.u64(end - 12), place < size,
        case let wide = LittleEndian(try read(place, 56)), wide.u32(0) == 0x0606_4B50,
        let wideCount = wide.u64(32), let wideBytes = wide.u64(40), let wideFirst = wide.u64(48)
      else { throw damaged("its long directory is not there") }
      (count, bytes, first) = (wideCount, wideBytes, wideFirst)
    }
    guard bytes <= Self.directoryLimit, first <= size, bytes <= size - first, count <= bytes / 46 else {
      throw damaged("its directory does not fit the file")
    }
    let listed = LittleEndian(try read(first, bytes))
    var members: [Member] = []
    var place = 0
    for _ in 0..<count {
      let (member, next) = try member(listed, place)
      members.append(member)
      place = next
    }
    return members
  }

  private func member(_ listed: LittleEndian, _ place: Int) throws(TableError) -> (Member, next: Int) {
    guard listed.u32(place) == 0x0201_4B50, let flags = listed.u16(place + 8),
      let method = listed.u16(place + 10),
      let sum = listed.u32(place + 16), let packed = listed.u32(place + 20),
      let size = listed.u32(place + 24),
      let nameLength = listed.u16(place + 28), let extraLength = listed.u16(place + 30),
      let commentLength = listed.u16(place + 32), let header = listed.u32(place + 42),
      let name = listed.bytes(place + 46, Int(nameLength))
    else { throw damaged("an entry of its directory is cut off") }
    let extra = place + 46 + Int(nameLength)
    let next = extra + Int(extraLength) + Int(commentLength)
    guard next <= listed.count else { throw damaged("an entry of its directory is cut off") }
    var wide = [packed, size, header].map(Int.init)
    // Of these, in the order size, packed, header, those that are too large are in the extra field 1.
    var field = extra
    while let kind = listed.u16(field), let length = listed.u16(field + 2),
      field + 4 <= extra + Int(extraLength)
    {
      var value = field + 4
      if kind == 1 {
        for index in [1, 0, 2] where wide[index] == Int(UInt32.max) {
          guard let number = listed.u64(value) else { throw damaged("an entry of its directory is cut off") }
          wide[index] = number
          value += 8
        }
      }
      field += 4 + Int(length)
    }
    return (
      Member(
        name: String(decoding: name, as: UTF8.self), method: method, flags: flags, sum: sum, packed: wide[0],
        size: wide[1], header: wide[2]), next
    )
  }

  // MARK: - A member

  /// The expanded bytes of a member; its length and checksum are checked when its end is read.
  func open(_ member: Member, limit: Int) throws(TableError) -> any ByteSource {
    let label = "\(name) (\(member.name))"
    guard member.flags & 1 == 0 else {
      throw TableError(.compressed, label, "is encrypted; save it without a password.")
    }
    guard member.header < size, case let head = LittleEndian(try read(member.header, 30)),
      head.u32(0) == 0x0403_4B50,
      let nameLength = head.u16(26), let extraLength = head.u16(28),
      case let start = member.header + 30 + Int(nameLength) + Int(extraLength), start <= size,
      member.packed <= size - start
    else { throw damaged("'\(member.name)' does not fit the file") }
    let range = Range(bytes: self, start, member.packed)
    switch member.method {
    case 0: return MemberSource(stored: range, member, label)
    case 8:
      return MemberSource(deflated: Inflater(range, name: label), member, label, ExpansionLimit(ratio: limit))
    default:
      throw TableError(
        .compressed, label, "is packed by method \(member.method); only stored and deflated members are read."
      )
    }
  }

  /// A part of the archive.
  private final class Range: ByteSource {
    private let archive: ZipArchive
    private var place: Int
    private let end: Int

    init(bytes archive: ZipArchive, _ start: Int, _ count: Int) {
      self.archive = archive
      place = start
      end = start + min(count, archive.size - start)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(TableError) -> Int {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, end - place)])
      guard !part.isEmpty else { return 0 }
      var count = part.count
      switch archive.bytes {
      case .file(let file): count = try file.read(into: part, at: place)
      case .memory(let all):
        let source = place..<place + count
        all.withUnsafeBytes { part.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[source])) }
      }
      place += count
      return count
    }
  }

  private final class MemberSource: ByteSource {
    private let stored: Range?
    private var inflater: Inflater?
    private let member: Member
    private let label: String
    private let limit: ExpansionLimit?
    private var sum = Checksum32()
    private var length = 0

    init(stored: Range, _ member: Member, _ label: String) {
      (self.stored, self.member, self.label, limit) = (stored, member, label, nil)
    }

    init(deflated: Inflater, _ member: Member, _ label: String, _ limit: ExpansionLimit) {
      (stored, inflater, self.member, self.label, self.limit) = (nil, deflated, member, label, limit)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(TableError) -> Int {
      guard !buffer.isEmpty else { return 0 }
      let count: Int
      if let stored {
        count = try stored.read(into: buffer)
      } else {
        count = try inflater?.read(into: buffer) ?? 0
      }
      guard count > 0 else {
        guard length == member.size, sum.value == member.sum else {
          throw TableError(.compressed, label, "is damaged: its length or checksum is another.")
        }
        return 0
      }
      sum.add(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      length += count
      try limit?.check(expanded: length, from: inflater?.taken ?? 0, label)
      return count
    }
  }
}

/// Numbers in bytes, lowest byte first; nil beyond the end.
struct LittleEndian {
  private let all: [UInt8]
  var count: Int { all.count }

  init(_ bytes: [UInt8]) { all = bytes }

  func bytes(_ place: Int, _ length: Int) -> ArraySlice<UInt8>? {
    place >= 0 && length <= all.count && place <= all.count - length ? all[place..<place + length] : nil
  }

  func u16(_ place: Int) -> UInt16? {
    bytes(place, 2).map { $0.reversed().reduce(0) { $0 << 8 | UInt16($1) } }
  }
  func u32(_ place: Int) -> UInt32? {
    bytes(place, 4).map { $0.reversed().reduce(0) { $0 << 8 | UInt32($1) } }
  }

  /// Nil, too, where the number is larger than an `Int`.
  func u64(_ place: Int) -> Int? {
    bytes(place, 8).flatMap { Int(exactly: $0.reversed().reduce(0) { $0 << 8 | UInt64($1) }) }
  }
}
