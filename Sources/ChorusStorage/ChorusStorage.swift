// ChorusStorage
