// ChorusData
