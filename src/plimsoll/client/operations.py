"""One method an operation, by subject. Written from the description of REST by `make reference`; changes here are lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, cast
from urllib.parse import quote

from plimsoll.client import shapes

Params = Mapping[str, object]


class Ask(Protocol):
    def __call__(
        self,
        method: str,
        path: str,
        params: Params,
        body: object,
        headers: Mapping[str, str],
    ) -> Any: ...


class Group:
    def __init__(self, ask: Ask) -> None:
        self._ask = ask


class Access(Group):
    """API keys, people, roles, the tenant, the audit trail."""

    def list_keys(self) -> shapes.ApiKeys:
        """API keys, without their secrets."""
        return cast("shapes.ApiKeys", self._ask("GET", "/api/apikeys", {}, None, {}))

    def create_key(self, body: shapes.KeyBody) -> shapes.NewApiKey:
        """The secret key is in this answer and nowhere else."""
        return cast("shapes.NewApiKey", self._ask("POST", "/api/apikeys", {}, body, {}))

    def search_keys(self, body: shapes.SearchFilter | None = None) -> shapes.ApiKeys:
        """Those that pass, in the order of their IDs."""
        return cast("shapes.ApiKeys", self._ask("POST", "/api/apikeys/search", {}, body, {}))

    def current_key(self) -> shapes.CurrentApiKey:
        """The key that asks."""
        return cast("shapes.CurrentApiKey", self._ask("GET", "/api/apikeys/current", {}, None, {}))

    def change_current_key(self, body: shapes.KeyBody | None = None) -> shapes.CurrentApiKey:
        """Name, description, locale and time zone; the rest is an administrator's to change."""
        return cast("shapes.CurrentApiKey", self._ask("POST", "/api/apikeys/current", {}, body, {}))

    def renew_current_key(self) -> shapes.RenewedApiKey:
        """A new secret for the key that asks; the one that it asked with is refused from now on."""
        return cast("shapes.RenewedApiKey", self._ask("POST", "/api/apikeys/current/secretkey", {}, None, {}))

    def get_key(self, key: int) -> shapes.ApiKey:
        """One key, without its secret."""
        return cast("shapes.ApiKey", self._ask("GET", f"/api/apikeys/{quote(str(key), safe='')}", {}, None, {}))

    def change_key(self, key: int, body: shapes.KeyBody | None = None) -> shapes.ApiKey:
        """Changes what is said; the rest stays."""
        return cast("shapes.ApiKey", self._ask("POST", f"/api/apikeys/{quote(str(key), safe='')}", {}, body, {}))

    def delete_key(self, key: int) -> shapes.Empty:
        """The key is good for nothing from now on."""
        return cast("shapes.Empty", self._ask("DELETE", f"/api/apikeys/{quote(str(key), safe='')}", {}, None, {}))

    def renew_key(self, key: int) -> shapes.NewApiKey:
        """A new secret for the same key; the former one is refused from now on."""
        return cast(
            "shapes.NewApiKey", self._ask("POST", f"/api/apikeys/{quote(str(key), safe='')}/secretkey", {}, None, {})
        )

    def list_roles(self) -> shapes.Roles:
        """The three that there are; they are fixed."""
        return cast("shapes.Roles", self._ask("GET", "/api/roles", {}, None, {}))

    def search_roles(self, body: shapes.SearchFilter | None = None) -> shapes.Roles:
        """Those that pass."""
        return cast("shapes.Roles", self._ask("POST", "/api/roles/search", {}, body, {}))

    def get_role(self, role: int) -> shapes.RoleAnswer:
        """One role."""
        return cast("shapes.RoleAnswer", self._ask("GET", f"/api/roles/{quote(str(role), safe='')}", {}, None, {}))

    def list_tenants(self) -> shapes.Tenants:
        """The one that there is: primary."""
        return cast("shapes.Tenants", self._ask("GET", "/api/tenants", {}, None, {}))

    def search_tenants(self, body: shapes.SearchFilter | None = None) -> shapes.Tenants:
        """Those that pass."""
        return cast("shapes.Tenants", self._ask("POST", "/api/tenants/search", {}, body, {}))

    def get_tenant(self, tenant: int) -> shapes.Tenant:
        """The one that there is."""
        return cast("shapes.Tenant", self._ask("GET", f"/api/tenants/{quote(str(tenant), safe='')}", {}, None, {}))

    def list_own_sessions(self) -> shapes.Sessions:
        """Of whoever is signed in, the newest first."""
        return cast("shapes.Sessions", self._ask("GET", "/api/administrators/current/sessions", {}, None, {}))

    def end_other_sessions(self) -> shapes.EndedSessions:
        """Ends all of whoever is signed in, but the one that asks."""
        return cast("shapes.EndedSessions", self._ask("DELETE", "/api/administrators/current/sessions", {}, None, {}))

    def end_own_session(self, session: str) -> shapes.Empty:
        """Ends one of them, by its ID."""
        return cast(
            "shapes.Empty",
            self._ask("DELETE", f"/api/administrators/current/sessions/{quote(str(session), safe='')}", {}, None, {}),
        )

    def list_user_sessions(self, username: str) -> shapes.Sessions:
        """Of one person, by name or ID."""
        return cast(
            "shapes.Sessions",
            self._ask("GET", f"/api/administrators/{quote(str(username), safe='')}/sessions", {}, None, {}),
        )

    def end_user_sessions(self, username: str) -> shapes.EndedSessions:
        """Ends all of one person; REST with an API key goes on."""
        return cast(
            "shapes.EndedSessions",
            self._ask("DELETE", f"/api/administrators/{quote(str(username), safe='')}/sessions", {}, None, {}),
        )

    def show_own_factor(self) -> shapes.SecondFactor:
        """Of whoever is signed in."""
        return cast("shapes.SecondFactor", self._ask("GET", "/api/administrators/current/secondfactor", {}, None, {}))

    def begin_factor(self, body: shapes.EnrolmentBody) -> shapes.Enrolment:
        """A secret for an authenticator, in this answer and no other. It counts once a code of it is
        confirmed.
        """
        return cast("shapes.Enrolment", self._ask("POST", "/api/administrators/current/secondfactor", {}, body, {}))

    def confirm_factor(self, body: shapes.ConfirmBody) -> shapes.RecoveryCodes:
        """From now on sign-in asks for a code. The recovery codes are in this answer and no other."""
        return cast(
            "shapes.RecoveryCodes", self._ask("POST", "/api/administrators/current/secondfactor/confirm", {}, body, {})
        )

    def renew_recovery_codes(self, body: shapes.FactorBody) -> shapes.RecoveryCodes:
        """Ten new ones; those of before count no more."""
        return cast(
            "shapes.RecoveryCodes",
            self._ask("POST", "/api/administrators/current/secondfactor/recoverycodes", {}, body, {}),
        )

    def remove_factor(self, body: shapes.FactorBody) -> shapes.Empty:
        """Sign-in asks for the password alone again."""
        return cast("shapes.Empty", self._ask("POST", "/api/administrators/current/secondfactor/remove", {}, body, {}))

    def reset_factor(self, username: str) -> shapes.Empty:
        """For who lost device and recovery codes: takes a person's second factor away."""
        return cast(
            "shapes.Empty",
            self._ask("DELETE", f"/api/administrators/{quote(str(username), safe='')}/secondfactor", {}, None, {}),
        )

    def show_provider(self) -> shapes.ProviderAnswer:
        """Who people sign in through, without the client's secret."""
        return cast("shapes.ProviderAnswer", self._ask("GET", "/api/identityprovider", {}, None, {}))

    def set_provider(self, body: shapes.ProviderBody) -> shapes.Provider:
        """Sets it. The provider is not asked; `check` does that."""
        return cast("shapes.Provider", self._ask("POST", "/api/identityprovider", {}, body, {}))

    def remove_provider(self) -> shapes.Empty:
        """Nobody signs in through it any more; sessions of its people end."""
        return cast("shapes.Empty", self._ask("DELETE", "/api/identityprovider", {}, None, {}))

    def check_provider(self) -> shapes.ProviderCheck:
        """Asks the provider for its description."""
        return cast("shapes.ProviderCheck", self._ask("POST", "/api/identityprovider/check", {}, None, {}))

    def search_administrators(self, body: shapes.SearchFilter | None = None) -> shapes.Users:
        """Those that pass."""
        return cast("shapes.Users", self._ask("POST", "/api/administrators/search", {}, body, {}))

    def get_administrator(self, administrator: str) -> shapes.User:
        """By name or ID; a name of digits means the user of that name."""
        return cast(
            "shapes.User", self._ask("GET", f"/api/administrators/{quote(str(administrator), safe='')}", {}, None, {})
        )

    def list_users(self) -> shapes.Users:
        """People who may sign in."""
        return cast("shapes.Users", self._ask("GET", "/api/administrators", {}, None, {}))

    def create_user(self, body: shapes.UserBody) -> shapes.User:
        """A new person."""
        return cast("shapes.User", self._ask("POST", "/api/administrators", {}, body, {}))

    def change_own_password(self, body: shapes.OwnPasswordBody) -> shapes.Empty:
        """For whoever is signed in."""
        return cast("shapes.Empty", self._ask("POST", "/api/administrators/current/password", {}, body, {}))

    def reset_administrator(self, username: str, body: shapes.ResetBody) -> shapes.ResetUser:
        """By the local socket only: a new password, no lock and no second factor for an administrator."""
        return cast(
            "shapes.ResetUser",
            self._ask("POST", f"/api/administrators/{quote(str(username), safe='')}/reset", {}, body, {}),
        )

    def change_user(self, username: str, body: shapes.UserChangeBody) -> shapes.User:
        """Role, password, lock."""
        return cast(
            "shapes.User", self._ask("POST", f"/api/administrators/{quote(str(username), safe='')}", {}, body, {})
        )

    def delete_user(self, username: str) -> shapes.Empty:
        """Deletes a person, and ends their sessions."""
        return cast(
            "shapes.Empty", self._ask("DELETE", f"/api/administrators/{quote(str(username), safe='')}", {}, None, {})
        )

    def audit(self, *, limit: int | None = None, before: int | None = None) -> shapes.Audit:
        """Who did what, the newest first; `before` an entry makes pages."""
        return cast("shapes.Audit", self._ask("GET", "/api/audit", {"limit": limit, "before": before}, None, {}))

    def verify_audit(self, *, entry: int | None = None, hash: str | None = None) -> shapes.AuditChain:
        """Is the chain whole? `entry` and `hash`, of a proof that was signed earlier, must still be in it."""
        return cast(
            "shapes.AuditChain", self._ask("GET", "/api/audit/verify", {"entry": entry, "hash": hash}, None, {})
        )

    def prune_audit(self, body: shapes.PruneBody) -> shapes.Pruned:
        """Deletes old entries; the chain is anchored anew where it begins then."""
        return cast("shapes.Pruned", self._ask("POST", "/api/audit/prune", {}, body, {}))


class Computers(Group):
    """The machines of the fleet, and the tokens that bring them in."""

    def list_groups(self) -> shapes.ComputerGroups:
        """All groups of computers."""
        return cast("shapes.ComputerGroups", self._ask("GET", "/api/computergroups", {}, None, {}))

    def create_group(self, body: shapes.GroupBody) -> shapes.ComputerGroup:
        """A new group, at the top or in another."""
        return cast("shapes.ComputerGroup", self._ask("POST", "/api/computergroups", {}, body, {}))

    def search_groups(self, body: shapes.SearchFilter | None = None) -> shapes.ComputerGroups:
        """Those that pass, in the order of their IDs."""
        return cast("shapes.ComputerGroups", self._ask("POST", "/api/computergroups/search", {}, body, {}))

    def get_group(self, group: int) -> shapes.ComputerGroup:
        """One group."""
        return cast(
            "shapes.ComputerGroup", self._ask("GET", f"/api/computergroups/{quote(str(group), safe='')}", {}, None, {})
        )

    def change_group(self, group: int, body: shapes.GroupBody | None = None) -> shapes.ComputerGroup:
        """Changes what is said; the rest stays."""
        return cast(
            "shapes.ComputerGroup", self._ask("POST", f"/api/computergroups/{quote(str(group), safe='')}", {}, body, {})
        )

    def delete_group(self, group: int) -> shapes.Empty:
        """Only an empty one."""
        return cast(
            "shapes.Empty", self._ask("DELETE", f"/api/computergroups/{quote(str(group), safe='')}", {}, None, {})
        )

    def computer_setting(self, computer: str, name: str, *, overrides: bool | None = None) -> shapes.SettingValue:
        """Its value, from its policy or its own."""
        return cast(
            "shapes.SettingValue",
            self._ask(
                "GET",
                f"/api/computers/{quote(str(computer), safe='')}/settings/{quote(str(name), safe='')}",
                {"overrides": overrides},
                None,
                {},
            ),
        )

    def change_computer_setting(self, computer: str, name: str, body: shapes.ValueBody) -> shapes.SettingValue:
        """For this computer alone, whatever its policy says."""
        return cast(
            "shapes.SettingValue",
            self._ask(
                "POST",
                f"/api/computers/{quote(str(computer), safe='')}/settings/{quote(str(name), safe='')}",
                {},
                body,
                {},
            ),
        )

    def reset_computer_setting(self, computer: str, name: str) -> shapes.SettingValue:
        """Its policy decides it again; the answer is what holds then."""
        return cast(
            "shapes.SettingValue",
            self._ask(
                "DELETE",
                f"/api/computers/{quote(str(computer), safe='')}/settings/{quote(str(name), safe='')}",
                {},
                None,
                {},
            ),
        )

    def list_computers(
        self,
        *,
        kind: str | None = None,
        relayGroup: str | None = None,
        after: str | None = None,
        limit: int | None = None,
        expand: list[str] | None = None,
        overrides: bool | None = None,
    ) -> shapes.Computers:
        """Computers in the order of their hostGUIDs; `after` one and a `limit` make pages."""
        return cast(
            "shapes.Computers",
            self._ask(
                "GET",
                "/api/computers",
                {
                    "kind": kind,
                    "relayGroup": relayGroup,
                    "after": after,
                    "limit": limit,
                    "expand": expand,
                    "overrides": overrides,
                },
                None,
                {},
            ),
        )

    def create_computer(self) -> shapes.Computer:
        """Refused: here a computer comes to be by its activation."""
        return cast("shapes.Computer", self._ask("POST", "/api/computers", {}, None, {}))

    def search_computers(
        self, body: shapes.SearchFilter | None = None, *, expand: list[str] | None = None, overrides: bool | None = None
    ) -> shapes.Computers:
        """In the order of their IDs."""
        return cast(
            "shapes.Computers",
            self._ask("POST", "/api/computers/search", {"expand": expand, "overrides": overrides}, body, {}),
        )

    def visit(self, body: shapes.VisitBody) -> shapes.Computer:
        """Manager-initiated activation: the manager calls the agent that waits on its 4118."""
        return cast("shapes.Computer", self._ask("POST", "/api/computers/activate", {}, body, {}))

    def get_computer(
        self, computer: str, *, expand: list[str] | None = None, overrides: bool | None = None
    ) -> shapes.Computer:
        """One computer, by ID or hostGUID."""
        return cast(
            "shapes.Computer",
            self._ask(
                "GET",
                f"/api/computers/{quote(str(computer), safe='')}",
                {"expand": expand, "overrides": overrides},
                None,
                {},
            ),
        )

    def change_computer(
        self,
        computer: str,
        body: shapes.ComputerBody | None = None,
        *,
        expand: list[str] | None = None,
        overrides: bool | None = None,
    ) -> shapes.Computer:
        """Changes what is said; the rest stays."""
        return cast(
            "shapes.Computer",
            self._ask(
                "POST",
                f"/api/computers/{quote(str(computer), safe='')}",
                {"expand": expand, "overrides": overrides},
                body,
                {},
            ),
        )

    def delete_computer(self, computer: str) -> shapes.Empty:
        """Deletes it; its certificate is good for nothing from then on."""
        return cast(
            "shapes.Empty", self._ask("DELETE", f"/api/computers/{quote(str(computer), safe='')}", {}, None, {})
        )

    def revoke_computer(self, computer: str, body: shapes.RevokeBody | None = None) -> shapes.Computer:
        """Refuses its certificate from now on; the computer stays listed."""
        return cast(
            "shapes.Computer", self._ask("POST", f"/api/computers/{quote(str(computer), safe='')}/revoke", {}, body, {})
        )

    def approve_computer(self, computer: str) -> shapes.Computer:
        """Lets one in that waits for an administrator."""
        return cast(
            "shapes.Computer",
            self._ask("POST", f"/api/computers/{quote(str(computer), safe='')}/approve", {}, None, {}),
        )

    def list_tokens(self) -> shapes.Tokens:
        """Activation tokens, without their secrets."""
        return cast("shapes.Tokens", self._ask("GET", "/api/activationtokens", {}, None, {}))

    def create_token(self, body: shapes.TokenBody) -> shapes.NewToken:
        """The token is in this answer and nowhere else."""
        return cast("shapes.NewToken", self._ask("POST", "/api/activationtokens", {}, body, {}))

    def delete_token(self, token: str) -> shapes.Empty:
        """Nobody joins with it any more."""
        return cast(
            "shapes.Empty", self._ask("DELETE", f"/api/activationtokens/{quote(str(token), safe='')}", {}, None, {})
        )


class Policies(Group):
    """What computers are told, and the groups that relays serve."""

    def search_policies(
        self, body: shapes.SearchFilter | None = None, *, overrides: bool | None = None
    ) -> shapes.Policies:
        """Those that pass, in the order of their IDs."""
        return cast("shapes.Policies", self._ask("POST", "/api/policies/search", {"overrides": overrides}, body, {}))

    def default_settings(self) -> dict[str, shapes.SettingValue]:
        """What holds where no policy says otherwise: the base policy's."""
        return cast("dict[str, shapes.SettingValue]", self._ask("GET", "/api/policies/default", {}, None, {}))

    def change_default_settings(self, body: Mapping[str, Any]) -> dict[str, shapes.SettingValue]:
        """Sets those that are named."""
        return cast("dict[str, shapes.SettingValue]", self._ask("POST", "/api/policies/default", {}, body, {}))

    def default_setting(self, name: str) -> shapes.SettingValue:
        """What it is where no policy says otherwise."""
        return cast(
            "shapes.SettingValue",
            self._ask("GET", f"/api/policies/default/settings/{quote(str(name), safe='')}", {}, None, {}),
        )

    def change_default_setting(self, name: str, body: shapes.ValueBody) -> shapes.SettingValue:
        """The base policy's value from now on."""
        return cast(
            "shapes.SettingValue",
            self._ask("POST", f"/api/policies/default/settings/{quote(str(name), safe='')}", {}, body, {}),
        )

    def reset_default_setting(self, name: str) -> shapes.SettingValue:
        """It is what it was in a new installation."""
        return cast(
            "shapes.SettingValue",
            self._ask("DELETE", f"/api/policies/default/settings/{quote(str(name), safe='')}", {}, None, {}),
        )

    def policy_setting(self, policy: int, name: str, *, overrides: bool | None = None) -> shapes.SettingValue:
        """Its value, inherited or its own."""
        return cast(
            "shapes.SettingValue",
            self._ask(
                "GET",
                f"/api/policies/{quote(str(policy), safe='')}/settings/{quote(str(name), safe='')}",
                {"overrides": overrides},
                None,
                {},
            ),
        )

    def change_policy_setting(self, policy: int, name: str, body: shapes.ValueBody) -> shapes.SettingValue:
        """Its own value from now on, also where it is the parent's."""
        return cast(
            "shapes.SettingValue",
            self._ask(
                "POST",
                f"/api/policies/{quote(str(policy), safe='')}/settings/{quote(str(name), safe='')}",
                {},
                body,
                {},
            ),
        )

    def reset_policy_setting(self, policy: int, name: str) -> shapes.SettingValue:
        """The parent decides it again; the answer is what holds then."""
        return cast(
            "shapes.SettingValue",
            self._ask(
                "DELETE",
                f"/api/policies/{quote(str(policy), safe='')}/settings/{quote(str(name), safe='')}",
                {},
                None,
                {},
            ),
        )

    def list_policies(self, *, overrides: bool | None = None) -> shapes.Policies:
        """All policies."""
        return cast("shapes.Policies", self._ask("GET", "/api/policies", {"overrides": overrides}, None, {}))

    def create_policy(self, body: shapes.NewPolicyBody) -> shapes.FullPolicy:
        """Without a parent, by name or ID, it inherits from the base policy."""
        return cast("shapes.FullPolicy", self._ask("POST", "/api/policies", {}, body, {}))

    def get_policy(self, policy: int, *, overrides: bool | None = None) -> shapes.FullPolicy:
        """One policy."""
        return cast(
            "shapes.FullPolicy",
            self._ask("GET", f"/api/policies/{quote(str(policy), safe='')}", {"overrides": overrides}, None, {}),
        )

    def change_policy(self, policy: int, body: shapes.PolicyBody) -> shapes.FullPolicy:
        """Changes what is said. Raising a floor that would cut computers off is refused, unless forced with a
        reason.
        """
        return cast(
            "shapes.FullPolicy", self._ask("POST", f"/api/policies/{quote(str(policy), safe='')}", {}, body, {})
        )

    def delete_policy(self, policy: int) -> shapes.Empty:
        """Deletes one that no computer and no policy uses."""
        return cast("shapes.Empty", self._ask("DELETE", f"/api/policies/{quote(str(policy), safe='')}", {}, None, {}))

    def list_groups(self) -> shapes.RelayGroups:
        """Relay groups with their relays."""
        return cast("shapes.RelayGroups", self._ask("GET", "/api/relaygroups", {}, None, {}))

    def create_group(self, body: shapes.RelayGroupBody) -> shapes.RelayGroup:
        """A new relay group."""
        return cast("shapes.RelayGroup", self._ask("POST", "/api/relaygroups", {}, body, {}))

    def move_group(self, group: int, body: shapes.RelayGroupMove) -> shapes.RelayGroup:
        """Puts it below another group."""
        return cast(
            "shapes.RelayGroup", self._ask("POST", f"/api/relaygroups/{quote(str(group), safe='')}", {}, body, {})
        )

    def delete_group(self, group: int) -> shapes.Empty:
        """Deletes one that is not in use."""
        return cast("shapes.Empty", self._ask("DELETE", f"/api/relaygroups/{quote(str(group), safe='')}", {}, None, {}))


class Tasks(Group):
    """What the manager does by itself at set times."""

    def list_tasks(self) -> shapes.ScheduledTasks:
        """What the manager does by itself, and when."""
        return cast("shapes.ScheduledTasks", self._ask("GET", "/api/scheduledtasks", {}, None, {}))

    def create_task(self, body: shapes.TaskBody) -> shapes.ScheduledTask:
        """Without a schedule it runs only when it is told to: `runNow`."""
        return cast("shapes.ScheduledTask", self._ask("POST", "/api/scheduledtasks", {}, body, {}))

    def search_tasks(self, body: shapes.SearchFilter | None = None) -> shapes.ScheduledTasks:
        """Those that pass, in the order of their IDs."""
        return cast("shapes.ScheduledTasks", self._ask("POST", "/api/scheduledtasks/search", {}, body, {}))

    def get_task(self, task: int) -> shapes.ScheduledTask:
        """One task, with what came of its last run."""
        return cast(
            "shapes.ScheduledTask", self._ask("GET", f"/api/scheduledtasks/{quote(str(task), safe='')}", {}, None, {})
        )

    def change_task(self, task: int, body: shapes.TaskBody | None = None) -> shapes.ScheduledTask:
        """Changes what is said; `runNow` runs it once, within a second or two."""
        return cast(
            "shapes.ScheduledTask", self._ask("POST", f"/api/scheduledtasks/{quote(str(task), safe='')}", {}, body, {})
        )

    def delete_task(self, task: int) -> shapes.Empty:
        """It is not run again."""
        return cast(
            "shapes.Empty", self._ask("DELETE", f"/api/scheduledtasks/{quote(str(task), safe='')}", {}, None, {})
        )


class Manager(Group):
    """The manager's own state and certificate."""

    def list_settings(self) -> dict[str, shapes.SettingValue]:
        """What is so here, and what was set."""
        return cast("dict[str, shapes.SettingValue]", self._ask("GET", "/api/systemsettings", {}, None, {}))

    def change_settings(self, body: Mapping[str, Any]) -> dict[str, shapes.SettingValue]:
        """All or nothing."""
        return cast("dict[str, shapes.SettingValue]", self._ask("POST", "/api/systemsettings", {}, body, {}))

    def get_setting(self, name: str) -> shapes.SettingValue:
        """One of them; empty where nobody has set it."""
        return cast(
            "shapes.SettingValue", self._ask("GET", f"/api/systemsettings/{quote(str(name), safe='')}", {}, None, {})
        )

    def change_setting(self, name: str, body: shapes.ValueBody) -> shapes.SettingValue:
        """One of them. What no program decides is refused, with who decides it."""
        return cast(
            "shapes.SettingValue", self._ask("POST", f"/api/systemsettings/{quote(str(name), safe='')}", {}, body, {})
        )

    def reset_setting(self, name: str) -> shapes.SettingValue:
        """The answer is what holds then."""
        return cast(
            "shapes.SettingValue", self._ask("DELETE", f"/api/systemsettings/{quote(str(name), safe='')}", {}, None, {})
        )

    def list_nodes(self) -> shapes.Nodes:
        """The managers that share the database; none where the store is a file."""
        return cast("shapes.Nodes", self._ask("GET", "/api/manager/nodes", {}, None, {}))

    def forget_node(self, node: str) -> shapes.Empty:
        """Takes a manager that is gone for good off the list, by its name or ID."""
        return cast(
            "shapes.Empty", self._ask("DELETE", f"/api/manager/nodes/{quote(str(node), safe='')}", {}, None, {})
        )

    def status(self) -> shapes.Status:
        """Ports, connections, computers and the database of this manager."""
        return cast("shapes.Status", self._ask("GET", "/api/manager/status", {}, None, {}))

    def show_database(self) -> shapes.DatabaseReport:
        """What the connection to the manager's database really negotiated, and which other databases were
        checked (R4).
        """
        return cast("shapes.DatabaseReport", self._ask("GET", "/api/manager/database", {}, None, {}))

    def check_database(self, body: shapes.DatabaseBody) -> shapes.CheckedDatabase:
        """Asks an SQL Server which versions of TLS it accepts, and keeps the answer: below 1.2 it is a
        blocker.
        """
        return cast("shapes.CheckedDatabase", self._ask("POST", "/api/manager/database/checks", {}, body, {}))

    def forget_database(self, body: shapes.DatabaseBody) -> shapes.Empty:
        """It is not asked for any more."""
        return cast("shapes.Empty", self._ask("POST", "/api/manager/database/checks/forget", {}, body, {}))

    def reload(self) -> shapes.Reloaded:
        """Reads configuration.properties and the certificates again (R15)."""
        return cast("shapes.Reloaded", self._ask("POST", "/api/manager/reload", {}, None, {}))

    def show_certificate(self) -> shapes.ManagerCertificates:
        """What 4119 shows."""
        return cast("shapes.ManagerCertificates", self._ask("GET", "/api/manager/certificate", {}, None, {}))

    def set_certificate(self, body: shapes.CertificateBody) -> shapes.ManagerCertificates:
        """Shown to the next connection; the change reaches the port through the hub."""
        return cast("shapes.ManagerCertificates", self._ask("POST", "/api/manager/certificate", {}, body, {}))

    def request_certificate(self, body: shapes.RequestBody) -> shapes.CertificateRequest:
        """A new key, which stays here, and a request for its certificate."""
        return cast("shapes.CertificateRequest", self._ask("POST", "/api/manager/certificate/csr", {}, body, {}))


class Reference(Group):
    """What programs of the reference look at, and what of it there is here."""

    def list_profiles(self) -> shapes.AgentVersionControlProfiles:
        """The one that there is."""
        return cast(
            "shapes.AgentVersionControlProfiles", self._ask("GET", "/api/agentversioncontrolprofiles", {}, None, {})
        )

    def search_profiles(self, body: shapes.SearchFilter | None = None) -> shapes.AgentVersionControlProfiles:
        """The one that there is, if it passes."""
        return cast(
            "shapes.AgentVersionControlProfiles",
            self._ask("POST", "/api/agentversioncontrolprofiles/search", {}, body, {}),
        )

    def get_profile(self, profile: int) -> shapes.AgentVersionControlProfile:
        """The one that there is."""
        return cast(
            "shapes.AgentVersionControlProfile",
            self._ask("GET", f"/api/agentversioncontrolprofiles/{quote(str(profile), safe='')}", {}, None, {}),
        )

    def list_controls(self, profile: int) -> shapes.AgentVersionControls:
        """What a deployment script installs, by system."""
        return cast(
            "shapes.AgentVersionControls",
            self._ask(
                "GET",
                f"/api/agentversioncontrolprofiles/{quote(str(profile), safe='')}/agentversioncontrols",
                {},
                None,
                {},
            ),
        )

    def search_controls(self, profile: int, body: shapes.SearchFilter | None = None) -> shapes.AgentVersionControls:
        """Those that pass, in the order of their IDs."""
        return cast(
            "shapes.AgentVersionControls",
            self._ask(
                "POST",
                f"/api/agentversioncontrolprofiles/{quote(str(profile), safe='')}/agentversioncontrols/search",
                {},
                body,
                {},
            ),
        )

    def get_control(self, profile: int, control: int) -> shapes.AgentVersionControl:
        """One system."""
        return cast(
            "shapes.AgentVersionControl",
            self._ask(
                "GET",
                f"/api/agentversioncontrolprofiles/{quote(str(profile), safe='')}/agentversioncontrols/{quote(str(control), safe='')}",
                {},
                None,
                {},
            ),
        )

    def list_certificates(self) -> shapes.ReferenceCertificates:
        """Those that 4119 shows; `/api/manager/certificate` sets one."""
        return cast("shapes.ReferenceCertificates", self._ask("GET", "/api/certificates", {}, None, {}))

    def search_certificates(self, body: shapes.SearchFilter | None = None) -> shapes.ReferenceCertificates:
        """Those that pass, in the order of their IDs."""
        return cast("shapes.ReferenceCertificates", self._ask("POST", "/api/certificates/search", {}, body, {}))

    def get_certificate(self, certificate: int) -> shapes.ReferenceCertificate:
        """One of them."""
        return cast(
            "shapes.ReferenceCertificate",
            self._ask("GET", f"/api/certificates/{quote(str(certificate), safe='')}", {}, None, {}),
        )

    def list_event_based_tasks(self) -> shapes.EventBasedTasks:
        """There are none here."""
        return cast("shapes.EventBasedTasks", self._ask("GET", "/api/eventbasedtasks", {}, None, {}))

    def search_event_based_tasks(self, body: shapes.SearchFilter | None = None) -> shapes.EventBasedTasks:
        """There are none here."""
        return cast("shapes.EventBasedTasks", self._ask("POST", "/api/eventbasedtasks/search", {}, body, {}))

    def list_scripts(self) -> shapes.Scripts:
        """There are none here."""
        return cast("shapes.Scripts", self._ask("GET", "/api/scripts", {}, None, {}))

    def search_scripts(self, body: shapes.SearchFilter | None = None) -> shapes.Scripts:
        """There are none here."""
        return cast("shapes.Scripts", self._ask("POST", "/api/scripts/search", {}, body, {}))

    def list_usage(self) -> shapes.ApiUsageMetrics:
        """Who asked how often since the managers' processes began, and how often it was too often."""
        return cast("shapes.ApiUsageMetrics", self._ask("GET", "/api/apiusagemetrics", {}, None, {}))

    def search_usage(self, body: shapes.SearchFilter | None = None) -> shapes.ApiUsageMetrics:
        """Those that pass, in the order of their IDs."""
        return cast("shapes.ApiUsageMetrics", self._ask("POST", "/api/apiusagemetrics/search", {}, body, {}))


class Tls(Group):
    """Floors, who would be cut off by another one, what was seen in handshakes."""

    def show_floors(self) -> shapes.Floors:
        """The floor of each point, and what a handshake showed at our own ports."""
        return cast("shapes.Floors", self._ask("GET", "/api/tls/floors", {}, None, {}))

    def set_floor(self, body: shapes.FloorBody) -> shapes.FloorChange:
        """Sets a point's floor, or that of `all`. What would cut parts off is refused, unless forced with a
        reason.
        """
        return cast("shapes.FloorChange", self._ask("POST", "/api/tls/floors", {}, body, {}))

    def show_minimum(self) -> shapes.Minimum:
        """What ShowValue shows (R13): the lower of 4120's and 4119's floor, and both."""
        return cast("shapes.Minimum", self._ask("GET", "/api/tls/minimum", {}, None, {}))

    def set_minimum(self, body: shapes.MinimumBody) -> shapes.FloorChange:
        """What ``dsm_c -action settlsprotocol`` does."""
        return cast("shapes.FloorChange", self._ask("POST", "/api/tls/minimum", {}, body, {}))

    def history(self, *, limit: int | None = None) -> shapes.History:
        """Who moved which floor when, the newest first."""
        return cast("shapes.History", self._ask("GET", "/api/tls/floors/history", {"limit": limit}, None, {}))

    def preflight(self, *, to: str, point: str | None = None) -> shapes.Preflight:
        """Who would be cut off by a floor. Nothing is changed."""
        return cast("shapes.Preflight", self._ask("GET", "/api/tls/preflight", {"to": to, "point": point}, None, {}))

    def advice(self) -> shapes.Advice:
        """Which of the upgrade guide's four cases this fleet is, and what to do."""
        return cast("shapes.Advice", self._ask("GET", "/api/tls/advice", {}, None, {}))

    def picture(self) -> shapes.Picture:
        """Who talks to whom, with which version."""
        return cast("shapes.Picture", self._ask("GET", "/api/tls/picture", {}, None, {}))

    def relays(self) -> shapes.Relays:
        """Each relay's floor: required, sent, reported and observed."""
        return cast("shapes.Relays", self._ask("GET", "/api/tls/relays", {}, None, {}))

    def sightings(
        self,
        *,
        point: str | None = None,
        who: str | None = None,
        below: str | None = None,
        refused: bool | None = None,
        since: str | None = None,
        by: Literal["kind", "peer"] | None = None,
        limit: int | None = None,
    ) -> shapes.Sightings | shapes.Peers:
        """Handshakes that are alike, newest first; with `by=peer` one row for each peer at each point."""
        return cast(
            "shapes.Sightings | shapes.Peers",
            self._ask(
                "GET",
                "/api/tls/sightings",
                {
                    "point": point,
                    "who": who,
                    "below": below,
                    "refused": refused,
                    "since": since,
                    "by": by,
                    "limit": limit,
                },
                None,
                {},
            ),
        )

    def register_prober(self, body: shapes.ProberBody) -> shapes.Prober:
        """The address that our own scans come from, so that nobody takes them for a program."""
        return cast("shapes.Prober", self._ask("POST", "/api/tls/probers", {}, body, {}))

    def list_exceptions(self, *, ended: bool | None = None, limit: int | None = None) -> shapes.Exceptions:
        """Exceptions in force or waiting; with `ended` those that are over too."""
        return cast(
            "shapes.Exceptions", self._ask("GET", "/api/tls/exceptions", {"ended": ended, "limit": limit}, None, {})
        )

    def add_exception(self, body: shapes.ExceptionBody) -> shapes.Excused:
        """Lets a source or a computer stay below a floor until then."""
        return cast("shapes.Excused", self._ask("POST", "/api/tls/exceptions", {}, body, {}))

    def end_exception(self, exception: int) -> shapes.Excused:
        """Ends an exception now."""
        return cast(
            "shapes.Excused", self._ask("DELETE", f"/api/tls/exceptions/{quote(str(exception), safe='')}", {}, None, {})
        )

    def show_shadow(self) -> shapes.Shadows:
        """Shadow floors, and when somebody last came in below one."""
        return cast("shapes.Shadows", self._ask("GET", "/api/tls/shadow", {}, None, {}))

    def set_shadow(self, body: shapes.ShadowBody) -> shapes.ShadowSet:
        """From now on counts who would be refused by this floor."""
        return cast("shapes.ShadowSet", self._ask("POST", "/api/tls/shadow", {}, body, {}))

    def clear_shadow(self, *, point: str | None = None) -> shapes.ShadowCleared:
        """Stops counting."""
        return cast("shapes.ShadowCleared", self._ask("DELETE", "/api/tls/shadow", {"point": point}, None, {}))

    def shadow_report(self, *, days: int | None = None) -> shapes.ShadowReport:
        """Who would have been refused, by day."""
        return cast("shapes.ShadowReport", self._ask("GET", "/api/tls/shadow/report", {"days": days}, None, {}))

    def send_policy(self, body: shapes.TlsSendPolicyBody) -> shapes.Queued:
        """Computers get their policy with their next heartbeat."""
        return cast("shapes.Queued", self._ask("POST", "/api/tls/send-policy", {}, body, {}))

    def show_ciphers(self) -> shapes.Ciphers:
        """The cipher profile of the manager's own ports, the suites that a handshake showed, and what each
        profile has.
        """
        return cast("shapes.Ciphers", self._ask("GET", "/api/tls/ciphers", {}, None, {}))

    def set_profile(self, body: shapes.ProfileBody) -> shapes.CipherChange:
        """Sets a port's profile, or that of `all`. What would cut parts off is refused, unless forced with a
        reason.
        """
        return cast("shapes.CipherChange", self._ask("POST", "/api/tls/ciphers", {}, body, {}))

    def cipher_history(self, *, limit: int | None = None) -> shapes.CipherHistory:
        """Who set which profile when, the newest first."""
        return cast("shapes.CipherHistory", self._ask("GET", "/api/tls/ciphers/history", {"limit": limit}, None, {}))

    def cipher_preflight(self, *, to: str, point: str | None = None) -> shapes.Preflight:
        """Who would be cut off by a cipher profile. Nothing is changed."""
        return cast(
            "shapes.Preflight", self._ask("GET", "/api/tls/ciphers/preflight", {"to": to, "point": point}, None, {})
        )


class Changes(Group):
    """Raising or lowering in stages, which can be taken back."""

    def list_changes(self, *, limit: int | None = None) -> shapes.Changes:
        """Changes, the newest first."""
        return cast("shapes.Changes", self._ask("GET", "/api/tls/changes", {"limit": limit}, None, {}))

    def start(self, body: shapes.ChangesStartBody) -> shapes.Change:
        """Starts a change, or puts it to approval or on a date."""
        return cast("shapes.Change", self._ask("POST", "/api/tls/changes", {}, body, {}))

    def current(self) -> shapes.Change:
        """The one under way, else the last one."""
        return cast("shapes.Change", self._ask("GET", "/api/tls/changes/current", {}, None, {}))

    def get(self, change: int) -> shapes.Change:
        """One change as it stands."""
        return cast("shapes.Change", self._ask("GET", f"/api/tls/changes/{quote(str(change), safe='')}", {}, None, {}))

    def approve(self, change: int) -> shapes.Change:
        """A second person's yes to one that waits for it."""
        return cast(
            "shapes.Change", self._ask("POST", f"/api/tls/changes/{quote(str(change), safe='')}/approve", {}, None, {})
        )

    def pause(self, change: int) -> shapes.Change:
        """Stays in its stage until it is resumed."""
        return cast(
            "shapes.Change", self._ask("POST", f"/api/tls/changes/{quote(str(change), safe='')}/pause", {}, None, {})
        )

    def resume(self, change: int) -> shapes.Change:
        """Goes on with one that is paused or halted; its soak begins anew."""
        return cast(
            "shapes.Change", self._ask("POST", f"/api/tls/changes/{quote(str(change), safe='')}/resume", {}, None, {})
        )

    def abort(self, change: int) -> shapes.Change:
        """Takes back what it has moved so far, at once."""
        return cast(
            "shapes.Change", self._ask("POST", f"/api/tls/changes/{quote(str(change), safe='')}/abort", {}, None, {})
        )

    def take_back(self, change: int) -> shapes.Change:
        """Takes back one that is done."""
        return cast(
            "shapes.Change", self._ask("POST", f"/api/tls/changes/{quote(str(change), safe='')}/back", {}, None, {})
        )


class Proof(Group):
    """Signed evidence of what ports accept, and what of it is in the scope of PCI DSS."""

    def build(self, body: shapes.ProofBody) -> shapes.Proof:
        """Asks every port now, which takes seconds, and gives the files of a signed bundle."""
        return cast("shapes.Proof", self._ask("POST", "/api/tls/proofs", {}, body, {}))

    def keys(self) -> shapes.ProofKeys:
        """The keys that signed, the one in use among them."""
        return cast("shapes.ProofKeys", self._ask("GET", "/api/tls/proofs/keys", {}, None, {}))

    def rotate(self) -> shapes.ProofKeyId:
        """A new key signs from now on."""
        return cast("shapes.ProofKeyId", self._ask("POST", "/api/tls/proofs/keys", {}, None, {}))

    def scope(self) -> shapes.Scope:
        """What is in the scope of PCI DSS."""
        return cast("shapes.Scope", self._ask("GET", "/api/tls/scope", {}, None, {}))

    def mark(self, body: shapes.ScopeBody) -> shapes.Scope:
        """Puts a point or a computer into scope."""
        return cast("shapes.Scope", self._ask("POST", "/api/tls/scope", {}, body, {}))

    def unmark(self, *, point: str | None = None, computer: str | None = None) -> shapes.Scope:
        """Takes a point or a computer out of scope."""
        return cast(
            "shapes.Scope", self._ask("DELETE", "/api/tls/scope", {"point": point, "computer": computer}, None, {})
        )


class Scans(Group):
    """Scans that the manager runs: its fleet, and the networks that it may look at."""

    def start(self, body: shapes.ScanBody) -> shapes.Scan:
        """Puts a scan into the queue. One runs at a time."""
        return cast("shapes.Scan", self._ask("POST", "/api/tls/scans", {}, body, {}))

    def list_scans(self, *, limit: int | None = None) -> shapes.Scans:
        """Scans, the newest first."""
        return cast("shapes.Scans", self._ask("GET", "/api/tls/scans", {"limit": limit}, None, {}))

    def list_endpoints(self, scan: int, *, after: int | None = None, limit: int | None = None) -> shapes.ScanEndpoints:
        """A page of its endpoints with grades and verdicts, also while it runs."""
        return cast(
            "shapes.ScanEndpoints",
            self._ask(
                "GET",
                f"/api/tls/scans/{quote(str(scan), safe='')}/endpoints",
                {"after": after, "limit": limit},
                None,
                {},
            ),
        )

    def report(self, scan: int) -> shapes.ScanReport:
        """All that was seen, as `plimsoll scan --format json` writes it."""
        return cast(
            "shapes.ScanReport", self._ask("GET", f"/api/tls/scans/{quote(str(scan), safe='')}/report", {}, None, {})
        )

    def diff(self, scan: int, *, with_: int) -> shapes.ScanDiff:
        """What changed since an earlier scan."""
        return cast(
            "shapes.ScanDiff",
            self._ask("GET", f"/api/tls/scans/{quote(str(scan), safe='')}/diff", {"with": with_}, None, {}),
        )

    def pci(self, scan: int) -> shapes.ScanPci:
        """Each endpoint with its mark of scope and what PCI DSS says of it."""
        return cast("shapes.ScanPci", self._ask("GET", f"/api/tls/scans/{quote(str(scan), safe='')}/pci", {}, None, {}))

    def cancel(self, scan: int) -> shapes.Scan:
        """Ends it where it is; what it saw stays."""
        return cast(
            "shapes.Scan", self._ask("POST", f"/api/tls/scans/{quote(str(scan), safe='')}/cancel", {}, None, {})
        )

    def get_scan(self, scan: int) -> shapes.Scan:
        """A scan as it stands."""
        return cast("shapes.Scan", self._ask("GET", f"/api/tls/scans/{quote(str(scan), safe='')}", {}, None, {}))

    def delete(self, scan: int) -> shapes.Empty:
        """Forgets it with its report."""
        return cast("shapes.Empty", self._ask("DELETE", f"/api/tls/scans/{quote(str(scan), safe='')}", {}, None, {}))


class Events(Group):
    """What happened."""

    def list_events(
        self, *, after: int | None = None, limit: int | None = None, computer: str | None = None
    ) -> shapes.Events:
        """Events after one, or the newest; of one computer where it is named."""
        return cast(
            "shapes.Events",
            self._ask("GET", "/api/events", {"after": after, "limit": limit, "computer": computer}, None, {}),
        )

    def export(self, *, after: int | None = None) -> bytes:
        """All events, a JSON object a line."""
        return cast("bytes", self._ask("GET", "/api/events/export", {"after": after}, None, {}))


class Software(Group):
    """Packages, and the keys that vouch for them."""

    def list_software(
        self,
        *,
        product: str | None = None,
        platform: str | None = None,
        architecture: str | None = None,
        version: str | None = None,
    ) -> shapes.Software:
        """Packages, by any of these."""
        return cast(
            "shapes.Software",
            self._ask(
                "GET",
                "/api/software",
                {"product": product, "platform": platform, "architecture": architecture, "version": version},
                None,
                {},
            ),
        )

    def import_software(self, body: bytes, *, release_signature: str | None = None) -> shapes.Imported:
        """The file is the body, as ``application/octet-stream``; it is never whole in memory."""
        return cast(
            "shapes.Imported",
            self._ask("POST", "/api/software", {}, body, {"release-signature": release_signature or ""}),
        )

    def check(self, body: shapes.CheckBody) -> shapes.Checked:
        """Would the file of this signature be taken? Answered before its bytes are sent."""
        return cast("shapes.Checked", self._ask("POST", "/api/software/check", {}, body, {}))

    def import_bundle(self, body: bytes) -> shapes.ImportedBundle:
        """Every package of the bundle in the body that is not here yet; it carries its own signatures."""
        return cast("shapes.ImportedBundle", self._ask("POST", "/api/software/bundles", {}, body, {}))

    def newest(
        self,
        *,
        platform: str,
        architecture: str,
        product: str | None = None,
        version: str | None = None,
        atMost: str | None = None,
    ) -> shapes.Package:
        """The newest package for a system."""
        return cast(
            "shapes.Package",
            self._ask(
                "GET",
                "/api/software/newest",
                {
                    "platform": platform,
                    "architecture": architecture,
                    "product": product,
                    "version": version,
                    "atMost": atMost,
                },
                None,
                {},
            ),
        )

    def keys(self) -> shapes.ReleaseKeys:
        """Release keys that are trusted."""
        return cast("shapes.ReleaseKeys", self._ask("GET", "/api/software/keys", {}, None, {}))

    def trust(self, body: shapes.TrustBody) -> shapes.ReleaseKeys:
        """Trusts a release key: the first by hand, others by a statement of one that is trusted."""
        return cast("shapes.ReleaseKeys", self._ask("POST", "/api/software/keys", {}, body, {}))

    def metadata(self) -> shapes.Metadata:
        """The signed metadata's roles, and when they expire."""
        return cast("shapes.Metadata", self._ask("GET", "/api/software/metadata", {}, None, {}))

    def root(self) -> shapes.RootText:
        """The root metadata as it is signed."""
        return cast("shapes.RootText", self._ask("GET", "/api/software/root", {}, None, {}))

    def take_root(self, body: shapes.RootBody) -> shapes.Root:
        """Takes a root that was signed by the root keys."""
        return cast("shapes.Root", self._ask("POST", "/api/software/root", {}, body, {}))

    def next_root(self, body: shapes.NextRootBody) -> shapes.NextRoot:
        """What is to be signed by the root keys; nothing changes until it comes back."""
        return cast("shapes.NextRoot", self._ask("POST", "/api/software/root/next", {}, body, {}))

    def get_software(self, software: int) -> shapes.Package:
        """One package."""
        return cast("shapes.Package", self._ask("GET", f"/api/software/{quote(str(software), safe='')}", {}, None, {}))

    def delete_software(self, software: int) -> shapes.Package:
        """Forgets a package, and deletes its file."""
        return cast(
            "shapes.Package", self._ask("DELETE", f"/api/software/{quote(str(software), safe='')}", {}, None, {})
        )

    def get_file(self, software: int) -> bytes:
        """Its file."""
        return cast("bytes", self._ask("GET", f"/api/software/{quote(str(software), safe='')}/file", {}, None, {}))


class Deployment(Group):
    """Scripts that install agents."""

    def make(self, body: shapes.ScriptBody) -> shapes.Script:
        """The script is in `scriptBody`; its token is shown in this answer and nowhere else."""
        return cast("shapes.Script", self._ask("POST", "/api/agentdeploymentscripts", {}, body, {}))

    def preflight(
        self, *, version: str | None = None, platform: str | None = None, relay: bool | None = None
    ) -> shapes.Deployables:
        """Which packages can be deployed under the floors of now, and what stands in the way of the others
        (R20).
        """
        return cast(
            "shapes.Deployables",
            self._ask(
                "GET",
                "/api/agentdeploymentscripts/preflight",
                {"version": version, "platform": platform, "relay": relay},
                None,
                {},
            ),
        )


class Upgrades(Group):
    """Upgrades of the fleet in waves."""

    def list_upgrades(self, *, limit: int | None = None) -> shapes.Upgrades:
        """Upgrades, the newest first."""
        return cast("shapes.Upgrades", self._ask("GET", "/api/upgrades", {"limit": limit}, None, {}))

    def start(self, body: shapes.UpgradesStartBody) -> shapes.Upgrade:
        """Starts an upgrade in waves."""
        return cast("shapes.Upgrade", self._ask("POST", "/api/upgrades", {}, body, {}))

    def plan(self, body: shapes.UpgradesStartBody) -> shapes.UpgradePlan:
        """What would be done; nothing is."""
        return cast("shapes.UpgradePlan", self._ask("POST", "/api/upgrades/plan", {}, body, {}))

    def current(self) -> shapes.Upgrade:
        """The one under way, else the last one."""
        return cast("shapes.Upgrade", self._ask("GET", "/api/upgrades/current", {}, None, {}))

    def get(self, number: int) -> shapes.Upgrade:
        """One upgrade as it stands."""
        return cast("shapes.Upgrade", self._ask("GET", f"/api/upgrades/{quote(str(number), safe='')}", {}, None, {}))

    def computers(
        self, number: int, *, state: str | None = None, after: str | None = None, limit: int | None = None
    ) -> shapes.UpgradeHosts:
        """Its computers, or those in that state; `after` an id makes pages."""
        return cast(
            "shapes.UpgradeHosts",
            self._ask(
                "GET",
                f"/api/upgrades/{quote(str(number), safe='')}/computers",
                {"state": state, "after": after, "limit": limit},
                None,
                {},
            ),
        )

    def pause(self, number: int) -> shapes.Upgrade:
        """No computer is ordered any more until it is resumed."""
        return cast(
            "shapes.Upgrade", self._ask("POST", f"/api/upgrades/{quote(str(number), safe='')}/pause", {}, None, {})
        )

    def resume(self, number: int) -> shapes.Upgrade:
        """Goes on with one that is paused or halted."""
        return cast(
            "shapes.Upgrade", self._ask("POST", f"/api/upgrades/{quote(str(number), safe='')}/resume", {}, None, {})
        )

    def abort(self, number: int) -> shapes.Upgrade:
        """Ends it; who was ordered and has not begun is left as it is."""
        return cast(
            "shapes.Upgrade", self._ask("POST", f"/api/upgrades/{quote(str(number), safe='')}/abort", {}, None, {})
        )

    def take_back(self, number: int) -> shapes.Upgrade:
        """Begins the way back of one that is over: an upgrade of its own."""
        return cast(
            "shapes.Upgrade", self._ask("POST", f"/api/upgrades/{quote(str(number), safe='')}/back", {}, None, {})
        )


class Ca(Group):
    """The CA that issues certificates, and its rotation in phases."""

    def show(self) -> shapes.Ca:
        """The CAs that are trusted, and the rotation under way, or the last one."""
        return cast("shapes.Ca", self._ask("GET", "/api/ca", {}, None, {}))

    def computers(
        self, *, state: str | None = None, after: str | None = None, limit: int | None = None
    ) -> shapes.Members:
        """How far each computer is, or those in that state; `after` an id makes pages."""
        return cast(
            "shapes.Members",
            self._ask("GET", "/api/ca/computers", {"state": state, "after": after, "limit": limit}, None, {}),
        )

    def rotate(self, body: shapes.RotateBody | None = None) -> shapes.Ca:
        """Makes a new CA and announces it to all computers; it issues once all of them trust it."""
        return cast("shapes.Ca", self._ask("POST", "/api/ca/rotate", {}, body, {}))

    def renew(self) -> shapes.Ca:
        """New certificates, good for ten years, for the keys of the CAs that are trusted. Nobody has to do
        anything.
        """
        return cast("shapes.Ca", self._ask("POST", "/api/ca/renew", {}, None, {}))

    def switch(self, body: shapes.StepBody | None = None) -> shapes.Ca:
        """Issues from the new CA from now on; both are trusted."""
        return cast("shapes.Ca", self._ask("POST", "/api/ca/switch", {}, body, {}))

    def retire(self, body: shapes.StepBody | None = None) -> shapes.Ca:
        """Trusts the old CA no more. There is no way back after this."""
        return cast("shapes.Ca", self._ask("POST", "/api/ca/retire", {}, body, {}))

    def go_back(self, body: shapes.StepBody | None = None) -> shapes.Ca:
        """Issues from the old CA again, and forgets the new one once every computer is back."""
        return cast("shapes.Ca", self._ask("POST", "/api/ca/back", {}, body, {}))


class Notifications(Group):
    """Syslog receivers and webhooks that are told of events."""

    def list_targets(self) -> shapes.Targets:
        """Who is told, up to where, and what stands in the way."""
        return cast("shapes.Targets", self._ask("GET", "/api/notifications", {}, None, {}))

    def add(self, body: shapes.NewTargetBody) -> shapes.NewTarget:
        """Tells of events from the next one on. A webhook's secret is in this answer and in no other."""
        return cast("shapes.NewTarget", self._ask("POST", "/api/notifications", {}, body, {}))

    def change(self, target: int, body: shapes.TargetBody) -> shapes.Target:
        """Changes a target."""
        return cast(
            "shapes.Target", self._ask("POST", f"/api/notifications/{quote(str(target), safe='')}", {}, body, {})
        )

    def remove(self, target: int) -> None:
        """Tells it no more."""
        self._ask("DELETE", f"/api/notifications/{quote(str(target), safe='')}", {}, None, {})

    def trial(self, target: int) -> shapes.Tried:
        """Sends one made-up event now, and says what came of it."""
        return cast(
            "shapes.Tried", self._ask("POST", f"/api/notifications/{quote(str(target), safe='')}/test", {}, None, {})
        )


class Operations:
    """Everything that a manager can be asked, by subject."""

    def __init__(self, ask: Ask) -> None:
        self.access = Access(ask)
        self.computers = Computers(ask)
        self.policies = Policies(ask)
        self.tasks = Tasks(ask)
        self.manager = Manager(ask)
        self.reference = Reference(ask)
        self.tls = Tls(ask)
        self.changes = Changes(ask)
        self.proof = Proof(ask)
        self.scans = Scans(ask)
        self.events = Events(ask)
        self.software = Software(ask)
        self.deployment = Deployment(ask)
        self.upgrades = Upgrades(ask)
        self.ca = Ca(ask)
        self.notifications = Notifications(ask)
