"""The one room that knows skorch nets, Pipelines and modAL learners."""
