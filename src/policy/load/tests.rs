use super::*;

fn problems(source: &str) -> Vec<String> {
    let found = Policy::parse([("a.cedar", source)]).expect_err("it has problems");
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_problem_names_its_line_and_its_policy() {
    let source = "// a comment
@id(\"one\")
permit (principal, action == Action::\"Sign\", resource)
when {
  resource.wallet == \"w\" &&
  resource.walet == \"w\"
};

@id(\"two\") permit (principal, action == Action::\"Sign\", resource) when { 1 < \"1\" };
";
    let found = problems(source);
    let [one, two] = &*found else { panic!("{found:?}") };
    assert!(one.starts_with("a.cedar:6, policy one: attribute `walet`"), "{one}");
    assert!(one.ends_with("did you mean `wallet`?"), "{one}");
    assert!(two.starts_with("a.cedar:9, policy two: "), "{two}");
}

#[test]
fn an_id_that_is_taken_is_found_where_it_stands() {
    let source = "@id(\"a\") permit (principal, action == Action::\"Sign\", resource);
@id(\"a\") forbid (principal, action == Action::\"Sign\", resource);
";
    let found = problems(source);
    assert_eq!(found, ["a.cedar:2, policy a: has an @id that is taken: make it unique"]);
}

#[test]
fn a_misspelt_annotation_is_refused_and_an_own_one_is_not() {
    let policy = |annotation: &str| {
        format!("@id(\"a\") @{annotation}(\"1\") permit (principal, action, resource);")
    };
    for (misspelt, known) in [
        ("max_operation", "max_operations"),
        ("max_idel", "max_idle"),
        ("maxlifetime", "max_lifetime"),
        ("reasons", "reason"),
    ] {
        let problem =
            format!("a.cedar:1, policy a: has an annotation @{misspelt}: did you mean @{known}?");
        assert_eq!(problems(&policy(misspelt)), [problem]);
    }
    for policy in [
        r#"@id("a") @max_idle("1s") permit (principal, action == Action::"Sign", resource);"#,
        r#"@id("a") @max_operations("1") forbid (principal, action, resource);"#,
    ] {
        let [one] = &*problems(policy) else { panic!("{policy}") };
        assert!(one.starts_with("a.cedar:1, policy a: has a limit for streams and permits none"));
    }
    for own in ["owner", "ticket", "max_operations"] {
        assert!(Policy::parse([("a.cedar", &*policy(own))]).is_ok(), "{own}");
    }
}
