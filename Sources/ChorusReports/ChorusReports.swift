// ChorusReports
