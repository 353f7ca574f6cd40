"""The part of Totara's external GraphQL schema that accounts and job assignments need, by its names there."""

from typing import Final

SDL: Final = """
scalar core_id
scalar core_date
scalar param_email
scalar param_username
enum core_sort_direction { ASC DESC }

type core_user_custom_field { shortname: String! data: String! data_format: Int data_type: String! }

type core_user {
  id: core_id! idnumber: String username: String fullname: String! firstname: String lastname: String
  middlename: String email: String department: String suspended: Boolean timezone: String
  custom_fields: [core_user_custom_field!] job_assignments: [totara_job_job_assignment!]!
}

type totara_job_job_assignment {
  id: core_id! userid: core_id! idnumber: String! fullname: String startdate: core_date enddate: core_date
  positionid: core_id organisationid: core_id managerjaid: core_id
}

type core_user_user_result { user: core_user! }
type core_user_users_result { items: [core_user!]! total: Int! next_cursor: String! }
type totara_webapi_status_result { status: String! timestamp: core_date! }
type totara_job_create_job_assignment_result { job_assignment: totara_job_job_assignment! }
type totara_job_update_job_assignment_result { job_assignment: totara_job_job_assignment! }
type totara_job_delete_job_assignment_result { job_assignment_id: core_id! }

input core_user_user_reference { id: core_id username: String idnumber: String email: String }
input core_user_custom_field_input { shortname: String! data: String data_format: Int delete: Boolean }
input core_pagination_input { limit: Int cursor: String }
input core_sort_input { column: String! direction: core_sort_direction = ASC }
input core_user_users_query { pagination: core_pagination_input sort: [core_sort_input!] }

input core_user_create_user_input {
  username: String! email: param_email! password: String firstname: String! lastname: String! idnumber: String
  middlename: String department: String timezone: String auth: String emailstop: Boolean = false
  suspended: Boolean = false custom_fields: [core_user_custom_field_input!] force_password_change: Boolean
  generate_password: Boolean
}

input core_user_update_user_input {
  username: param_username firstname: String lastname: String email: param_email password: String idnumber: String
  middlename: String department: String timezone: String auth: String emailstop: Boolean suspended: Boolean
  custom_fields: [core_user_custom_field_input!] force_password_change: Boolean generate_password: Boolean
}

input totara_hierarchy_position_reference { id: core_id idnumber: String }
input totara_hierarchy_organisation_reference { id: core_id idnumber: String }
input totara_job_job_assignment_reference { id: core_id idnumber: String user: core_user_user_reference }

input totara_job_create_job_assignment_input {
  idnumber: String! fullname: String shortname: String user: core_user_user_reference! start_date: core_date
  end_date: core_date position: totara_hierarchy_position_reference
  organisation: totara_hierarchy_organisation_reference manager: totara_job_job_assignment_reference
}

input totara_job_update_job_assignment_input {
  idnumber: String fullname: String shortname: String start_date: core_date end_date: core_date
  position: totara_hierarchy_position_reference organisation: totara_hierarchy_organisation_reference
  manager: totara_job_job_assignment_reference
}

type Query {
  totara_webapi_status: totara_webapi_status_result!
  core_user_users(query: core_user_users_query): core_user_users_result!
}

type Mutation {
  core_user_create_user(input: core_user_create_user_input!): core_user_user_result!
  core_user_update_user(
    target_user: core_user_user_reference! input: core_user_update_user_input!
  ): core_user_user_result!
  totara_job_create_job_assignment(
    input: totara_job_create_job_assignment_input!
  ): totara_job_create_job_assignment_result!
  totara_job_update_job_assignment(
    target_job: totara_job_job_assignment_reference! input: totara_job_update_job_assignment_input!
  ): totara_job_update_job_assignment_result!
  totara_job_delete_job_assignment(
    target_job: totara_job_job_assignment_reference!
  ): totara_job_delete_job_assignment_result!
}
"""

#: Types of which each field that is answered costs a point.
COUNTED: Final = frozenset({"core_user", "core_user_custom_field", "totara_job_job_assignment"})

ROOT_POINTS: Final = {"Query": 5, "Mutation": 10}
