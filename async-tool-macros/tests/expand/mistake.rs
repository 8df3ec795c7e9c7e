async fn build(project: &str) {
    project.len();
}
