"""Classical methods: functions of arrays that need no prior."""
