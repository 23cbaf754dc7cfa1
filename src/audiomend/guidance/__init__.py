"""What bends an estimate towards the observation: denoisers made from denoisers."""
