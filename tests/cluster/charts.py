"""charts.py HELM: the tests of the charts against the API server at $SERVER. See `run`."""

import copy
import json
import os
import subprocess
import sys
import time
import unittest

import yaml

HELM = sys.argv.pop(1)
ENCLAVE = 64035
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}
# There are no definitions of these on a bare server; helm/tests/schemas has schemas of them.
FOREIGN = {"PodMonitor", "PrometheusRule"}


class Refused(Exception):
    pass


def kubectl(*arguments, user="root", text=None):
    command = [os.environ["KUBECTL"], "--server", os.environ["SERVER"], "--certificate-authority", os.environ["AUTHORITY"],
               "--token", user, *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def apply(thing, **options):
    return yaml.safe_load(kubectl("apply", "--server-side", "--force-conflicts", "-o", "yaml", "-f", "-",
                                  text=yaml.safe_dump(thing), **options))


def create(thing, **options):
    return yaml.safe_load(kubectl("create", "-o", "yaml", "-f", "-", text=yaml.safe_dump(thing), **options))


def render(chart, release, namespace, *arguments):
    done = subprocess.run(["helm", "template", release, f"{HELM}/{chart}", "--namespace", namespace,
                           "--kube-version", version()[1], *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Refused(done.stderr)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def version():
    """Of the server: what charts are rendered for."""
    told = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    return int(told["minor"]), told["gitVersion"]


def example(chart, name):
    return ["-f", f"{HELM}/{chart}/examples/{name}.yaml"]


def namespace(name):
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
    # No controller makes it here.
    apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})


def pod(name, space, template):
    """What a Deployment or a Job would make: there is no controller here that does."""
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {**copy.deepcopy(template["metadata"]), "name": name, "namespace": space},
            "spec": copy.deepcopy(template["spec"])}


def eventually(attempt):
    """A policy is in force some moments after it was made."""
    for _ in range(100):
        try:
            return attempt()
        except AssertionError:
            time.sleep(0.2)
    return attempt()


class Charts(unittest.TestCase):
    """Every object of every rendering is taken, and every pod under *restricted*."""

    def take(self, chart, release, space, *arguments):
        namespace(space)
        taken = 0
        for each in render(chart, release, space, *arguments):
            if each["kind"] in FOREIGN:
                continue
            apply(each)
            taken += 1
            if template := each.get("spec", {}).get("template"):
                create(pod(f"{release}-{each['kind'].lower()}", space, template))
        self.assertGreater(taken, 0)

    def test_development(self):
        self.take("countersign", "pay", "development")

    def test_production(self):
        self.take("countersign", "pay", "production", *example("countersign", "production"))

    def test_monitored(self):
        self.take("countersign", "pay", "monitored", *example("countersign", "monitored"))

    def test_vault_setup(self):
        self.take("countersign", "pay", "vault-setup", *example("countersign", "vault-setup"))

    def test_spiffe(self):
        self.take("countersign", "pay", "spiffe", *example("countersign", "spiffe"))

    def test_names(self):
        for number, release in enumerate(["2024", "true", "pay.eu-1.v2", "a" * 49 + ".bcd", "b" * 53]):
            for values in ("production", "vault-setup"):
                with self.subTest(release=release, values=values):
                    self.take("countersign", release, f"{number}{number}{values}", *example("countersign", values))

    def test_injector_of_another_version(self):
        if version()[0] < 36:
            with self.assertRaisesRegex(Refused, "chart requires kubeVersion: >=1.36"):
                render("countersign-injector", "pay", "kube-system", *example("countersign-injector", "vault"))

    def test_user_namespaces(self):
        self.take("countersign", "pay", "user-namespaces", "--set", "hostUsers=false")

    def test_users_of_the_platform(self):
        self.take("countersign", "pay", "platform-users", "--set",
                  "enclave.runAsUser=null,enclave.runAsGroup=null,enclave.fsGroup=null")

    def test_restricted_is_in_force(self):
        namespace("control")
        template = next(each for each in render("countersign", "pay", "control") if each["kind"] == "Deployment")["spec"]["template"]
        del template["spec"]["initContainers"][0]["securityContext"]["capabilities"]
        apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "pay", "namespace": "control"}})
        with self.assertRaisesRegex(Refused, "unrestricted capabilities"):
            create(pod("control", "control", template))


class Guard(unittest.TestCase):
    """Nobody gets into the enclave's container."""

    # What the server says of a call that is let through.
    THROUGH = "does not have a host assigned"

    @classmethod
    def setUpClass(cls):
        for space in ("guarded", "unguarded"):
            namespace(space)
            rules = "production" if space == "guarded" else "monitored"
            for each in render("countersign", "pay", space, *example("countersign", rules)):
                if each["kind"] in FOREIGN:
                    continue
                apply(each)
                if each["kind"] == "Deployment":
                    create(pod("pay", space, each["spec"]["template"]))
        # RBAC lets developers into every container, here as there: it is the policy that tells them apart.
        apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "developers"},
               "rules": [{"apiGroups": [""], "resources": ["pods/exec", "pods/attach"], "verbs": ["create", "get"]},
                         {"apiGroups": [""], "resources": ["pods", "pods/ephemeralcontainers"], "verbs": ["get", "patch", "update"]}]})
        apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "developers"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "developers"},
               "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "developers"}]})

    def said(self, *arguments, user="dev"):
        """What the server says: no pod runs here, so that what is let through fails, too, and says why."""
        with self.assertRaises(Refused) as refused:
            kubectl(*arguments, user=user)
        return str(refused.exception)

    def exec(self, container, space="guarded", verb="exec", **options):
        # The server is asked directly: kubectl does not connect to a pod that does not run.
        query = f"container={container}&command=sh&stdout=true" if container else "command=sh&stdout=true"
        return self.said("create", "--raw", f"/api/v1/namespaces/{space}/pods/pay/{verb}?{query}", "-f", "/dev/null", **options)

    def test_exec(self):
        eventually(lambda: self.assertIn("name a container (-c), which is not the enclave", self.exec("countersign")))
        self.assertIn("name a container", self.exec(""))
        self.assertIn("name a container", self.exec("countersign", verb="attach"))
        self.assertIn(self.THROUGH, self.exec("app"))

    def test_exempt(self):
        self.assertIn(self.THROUGH, self.exec("countersign", user="root"))

    def test_elsewhere(self):
        self.assertIn(self.THROUGH, self.exec("countersign", space="unguarded"))

    def test_ephemeral(self):
        found = json.loads(kubectl("get", "--raw", "/api/v1/namespaces/guarded/pods/pay"))
        found["spec"]["ephemeralContainers"] = [{
            "name": "debug", "image": "busybox", "targetContainerName": "countersign",
            "securityContext": {"runAsUser": ENCLAVE, "runAsNonRoot": True, "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}}]

        def put(space, user):
            there = {**found, "metadata": {"name": "pay", "namespace": space}}
            kubectl("replace", "--raw", f"/api/v1/namespaces/{space}/pods/pay/ephemeralcontainers", "-f", "-",
                    text=json.dumps(there), user=user)

        def refused():
            with self.assertRaisesRegex(Refused, "no ephemeral container in a pod that has an enclave"):
                put("guarded", "dev")
        eventually(refused)
        put("unguarded", "dev")
        put("guarded", "root")


    def test_image(self):
        def patch(space, user, container, spec="initContainers"):
            there = {"spec": {spec: [{"name": container, "image": "other@sha256:" + "9" * 64}]}}
            kubectl("patch", "pod", "pay", "-n", space, "--type", "strategic", "-p", json.dumps(there), user=user)

        def refused():
            with self.assertRaisesRegex(Refused, "the image of an enclave stays"):
                patch("guarded", "dev", "countersign")
        eventually(refused)
        patch("guarded", "dev", "app", spec="containers")
        kubectl("label", "pod", "pay", "-n", "guarded", "seen=yes", user="dev")
        patch("unguarded", "dev", "countersign")


class Custody(unittest.TestCase):
    """Each person gets into the own desk, and nobody anywhere else."""

    SPACE = "custody"

    @classmethod
    def setUpClass(cls):
        namespace(cls.SPACE)
        for each in render("countersign-custody", "ops", cls.SPACE):
            apply(each)
            if each["kind"] == "Deployment":
                create(pod("ops", cls.SPACE, each["spec"]["template"]))

    def said(self, container, user, verb="exec"):
        query = f"container={container}&command=sh&stdout=true" if container else "command=sh&stdout=true"
        with self.assertRaises(Refused) as refused:
            kubectl("create", "--raw", f"/api/v1/namespaces/{self.SPACE}/pods/ops/{verb}?{query}", "-f", "/dev/null", user=user)
        return str(refused.exception)

    def test_desks(self):
        eventually(lambda: self.assertIn("this desk is of somebody else", self.said("alice", "bob")))
        self.assertIn(Guard.THROUGH, self.said("alice", "alice"))
        self.assertIn(Guard.THROUGH, self.said("bob", "bob"))
        self.assertIn("this desk is of somebody else", self.said("bob", "root"))
        self.assertIn("which is not the enclave", self.said("countersign", "alice"))
        self.assertIn("name a container", self.said("", "alice"))
        self.assertRegex(self.said("alice", "dev"), "cannot (get|create) resource")

    def test_nobody_attaches(self):
        eventually(lambda: self.assertIn("nobody attaches to a desk", self.said("alice", "root", verb="attach")))

    def test_examples(self):
        for name in ("production", "desks"):
            space = f"custody-{name}"
            namespace(space)
            for each in render("countersign-custody", "ops", space, *example("countersign-custody", name)):
                apply(each)
                if each["kind"] == "Deployment":
                    create(pod("ops", space, each["spec"]["template"]))


class Injector(unittest.TestCase):
    """A labelled pod becomes what the chart would have made of it, or is refused."""

    SPACE, RELEASE = "injected", "pay"

    @classmethod
    def setUpClass(cls):
        if version()[0] < 36:
            raise unittest.SkipTest("no admission policy of this version mutates")
        namespace(cls.SPACE)
        namespace("not-injected")
        values = ["--set", f"namespaces={{{cls.SPACE}}}"]
        for each in render("countersign-injector", cls.RELEASE, "kube-system", *example("countersign-injector", "vault"), *values):
            apply(each)
        apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "pay", "namespace": cls.SPACE}})
        # The same values through the chart: the pod that has to come of it.
        profile = yaml.safe_load(open(f"{HELM}/countersign-injector/examples/vault.yaml"))
        profile["enclave"]["state"] = {"kind": "ephemeral"}
        profile["enclave"]["custody"] = {"enabled": False}
        path = f"{HELM}/../target/injector-values.yaml"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            app = {"image": {"repository": "payments", "digest": "sha256:" + "4" * 64}}
            yaml.safe_dump({"app": app, "enclave": profile["enclave"]}, file)
        objects = render("countersign", cls.RELEASE, cls.SPACE, "-f", path)
        os.remove(path)
        cls.objects = objects
        cls.template = next(each for each in objects if each["kind"] == "Deployment")["spec"]["template"]

    def bare(self, name):
        """The chart's pod without anything of the enclave, and with the label."""
        made = pod(name, self.SPACE, self.template)
        made["metadata"]["labels"]["countersign/inject"] = self.RELEASE
        spec = made["spec"]
        del spec["initContainers"], spec["volumes"]
        spec["securityContext"].pop("fsGroup")
        spec["securityContext"].pop("fsGroupChangePolicy")
        for container in spec["containers"]:
            del container["volumeMounts"]
        return made

    def injected(self, made):
        def attempt():
            name = made["metadata"]["name"]
            kubectl("delete", "pod", name, "-n", self.SPACE, "--ignore-not-found", "--force", "--grace-period=0")
            found = create(made)
            self.assertIn("initContainers", found["spec"])
            return found
        return eventually(attempt)

    def refused(self, made, why):
        def attempt():
            kubectl("delete", "pod", made["metadata"]["name"], "-n", self.SPACE, "--ignore-not-found", "--force", "--grace-period=0")
            try:
                create(made)
            except Refused as refused:
                self.assertIn(why, str(refused))
                return
            self.fail("it was taken")
        eventually(attempt)

    def test_the_pod_is_that_of_the_chart(self):
        self.maxDiff = None
        wanted = create(pod("wanted", self.SPACE, self.template))["spec"]
        found = self.injected(self.bare("found"))["spec"]
        self.assertEqual(found["initContainers"], wanted["initContainers"])
        self.assertEqual(found["containers"], wanted["containers"])
        by_name = lambda volumes: sorted(volumes, key=lambda volume: volume["name"])
        self.assertEqual(by_name(found["volumes"]), by_name(wanted["volumes"]))
        self.assertEqual(found, {**wanted, "volumes": found["volumes"]})

    def test_the_configuration_is_that_of_the_chart(self):
        chart = {each["metadata"]["name"]: each["data"] for each in self.objects if each["kind"] == "ConfigMap"}
        for name, data in chart.items():
            self.assertEqual(json.loads(kubectl("get", "configmap", name, "-n", self.SPACE, "-o", "json"))["data"], data)

    def test_it_is_the_first_and_what_is_there_stays(self):
        made = self.bare("first")
        spec = made["spec"]
        spec["initContainers"] = [{**copy.deepcopy(spec["containers"][0]), "name": "migrate"}]
        spec["volumes"] = [{"name": "tmp", "emptyDir": {}}]
        spec["containers"][0]["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
        found = self.injected(made)["spec"]
        self.assertEqual([each["name"] for each in found["initContainers"]], ["countersign", "migrate"])
        self.assertEqual([each["name"] for each in found["containers"][0]["volumeMounts"]], ["tmp", "countersign-socket"])
        self.assertIn("tmp", [each["name"] for each in found["volumes"]])

    def test_the_annotation_names_who_gets_the_socket(self):
        made = self.bare("annotated")
        made["metadata"]["annotations"]["countersign/containers"] = "app"
        other = copy.deepcopy(made["spec"]["containers"][0])
        other["name"], other["securityContext"]["runAsUser"] = "other", 10002
        made["spec"]["containers"].insert(0, other)
        found = self.injected(made)["spec"]["containers"]
        self.assertNotIn("volumeMounts", found[0])
        self.assertEqual([each["name"] for each in found[1]["volumeMounts"]], ["countersign-socket"])

    def test_without_the_label_nothing_is_done(self):
        made = self.bare("unlabelled")
        del made["metadata"]["labels"]["countersign/inject"]
        self.assertNotIn("initContainers", create(made)["spec"])

    def test_in_another_namespace_nothing_is_done(self):
        made = self.bare("elsewhere")
        made["metadata"]["namespace"] = "not-injected"
        made["spec"]["serviceAccountName"] = "default"
        self.assertNotIn("initContainers", create(made)["spec"])

    def test_another_image_under_the_name_is_refused(self):
        made = self.bare("image")
        made["spec"]["initContainers"] = [{**copy.deepcopy(made["spec"]["containers"][0]), "name": "countersign"}]
        self.refused(made, "is not the enclave of this profile")

    def test_an_environment_is_refused(self):
        made = pod("environment", self.SPACE, self.template)
        made["metadata"]["labels"]["countersign/inject"] = self.RELEASE
        made["spec"]["initContainers"][0]["env"] = [{"name": "LD_PRELOAD", "value": "/x"}]
        self.refused(made, "or it has an environment")

    def test_the_enclaves_user_is_refused(self):
        made = self.bare("user")
        made["spec"]["containers"][0]["securityContext"]["runAsUser"] = ENCLAVE
        self.refused(made, "none may have that of the enclave")

    def test_no_user_is_refused(self):
        made = self.bare("no-user")
        del made["spec"]["containers"][0]["securityContext"]["runAsUser"]
        self.refused(made, "every container needs a runAsUser")

    def test_a_volume_of_the_enclave_is_refused(self):
        made = self.bare("volume")
        made["spec"]["containers"][0]["volumeMounts"] = [{"name": "countersign-vault-token", "mountPath": "/token"}]
        self.refused(made, "and no other volume of the enclave")

    def test_a_writable_socket_is_refused(self):
        made = self.bare("writable")
        made["spec"]["containers"][0]["volumeMounts"] = [{"name": "countersign-socket", "mountPath": "/other"}]
        self.refused(made, "mounts countersign-socket, read-only")

    def test_one_process_namespace_is_refused(self):
        made = self.bare("namespace")
        made["spec"]["shareProcessNamespace"] = True
        self.refused(made, "shareProcessNamespace shows the enclave")

    def test_too_little_time_to_end_is_refused(self):
        made = self.bare("grace")
        made["spec"]["terminationGracePeriodSeconds"] = 20
        self.refused(made, "terminationGracePeriodSeconds is less than 30")


if __name__ == "__main__":
    tests = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]))
    failed = len(tests.failures) + len(tests.errors)
    print(f"{tests.testsRun - failed} passed, {failed} failed")
    sys.exit(failed > 0)
