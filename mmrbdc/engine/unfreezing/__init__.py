"""Fine-tuning of which a part trains at first, and more of it stage by stage (AutoProg-Zero)."""
