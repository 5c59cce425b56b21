// ChorusPlans
