import CChorusKernels
import Testing

@testable import ChorusTensors
