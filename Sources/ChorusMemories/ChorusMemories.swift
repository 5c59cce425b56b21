// ChorusMemories
