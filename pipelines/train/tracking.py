"""A finished job as a run of MLflow. Address and login are MLflow's own variables (MLFLOW_TRACKING_*)."""

from __future__ import annotations

from pipelines.train.job import Plan, Result


def record(experiment: str, plan: Plan, result: Result) -> str:
    """Parameters, each candidate's accuracy, where the checkpoint lies; returns the run's id."""
    import mlflow  # seconds and memory that a job without an experiment does not spend

    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=plan.prefix) as run:
        mlflow.log_params({"epochs": plan.epochs, "features": plan.embed_url or "words", "best": result.best})
        mlflow.log_metrics({f"accuracy_{outcome.name}": outcome.accuracy for outcome in result.outcomes})
        mlflow.set_tags({"checkpoint": f"s3://{plan.bucket}/{result.key}", "sha256": result.sha256})
        return str(run.info.run_id)
